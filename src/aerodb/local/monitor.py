"""The files that Prometheus and Grafana need for one cluster: what to scrape and how, alerts, and a dashboard."""

import json
from importlib.resources import files

from aerodb.protocol.cluster import Cluster

_HEAD = """# Who is scraped, and as whom. Paths are relative to this file's folder.
global:
  scrape_interval: 5s
  scrape_timeout: 5s
  evaluation_interval: 15s
rule_files:
  - rules/*.yml
scrape_configs:
"""
# A certificate is for a name, not an address, and Prometheus takes one server name per job: so one job per process.
_JOB = """  - job_name: {job}-{name}
    scheme: https
    tls_config:
      ca_file: ca.crt
      cert_file: tls.crt
      key_file: tls.key
      server_name: {name}
      min_version: TLS13
    static_configs:
      - targets: ["{address}"]
        labels: {labels}
"""


def scrape_configuration(cluster: Cluster) -> str:
    """Return prometheus.yml: every agent and the control plane, over mutual TLS."""
    jobs = [
        _job("aerodb-agent", member.name, member.agent, {"node": member.name, "cluster": cluster.name})
        for member in cluster.members
    ]
    return _HEAD + "".join([*jobs, _job("aerodb-control", "control", cluster.control, {"cluster": cluster.name})])


def monitor_files(cluster: Cluster) -> dict[str, bytes]:
    """Return the files of the monitor's folder by path, without its certificate and key."""
    shipped = files("aerodb.local") / "observability"
    return {
        "prometheus.yml": scrape_configuration(cluster).encode(),
        "rules/aerodb.yml": (shipped / "rules.yml").read_bytes(),
        "grafana/aerodb.json": (shipped / "dashboard.json").read_bytes(),
        "README.md": (shipped / "README.md").read_bytes(),
    }


def _job(job: str, name: str, address: str, labels: dict[str, str]) -> str:
    return _JOB.format(job=job, name=name, address=address, labels=json.dumps({"job": job, **labels}))
