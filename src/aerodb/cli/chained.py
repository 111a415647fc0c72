"""The chain of configurations as a person's own machine knows it: verified here, from the profile's version 1 on.

- The profile's cluster.json is version 1, and is all that is trusted. A later version counts only by what proves it: an
  operator's signature under the version before, in the log, under the log's own key.
- Which version a plan is signed under is what the plan names; it must be of that chain.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from aerodb.audit.chain import verified_chain
from aerodb.cli.failures import ConfigurationUnverified
from aerodb.cli.profile import Caller, Profile
from aerodb.cli.session import read
from aerodb.errors import AeroError
from aerodb.protocol.chain import Chain, founded
from aerodb.protocol.envelope import Configurations

PATH = "/v1/configurations"


def shown_chain(profile: Profile, caller: Caller) -> tuple[Chain, Configurations]:
    """Return the chain that the control plane shows, verified here, and what proves it.

    Raises:
        ConfigurationUnverified: a version of it is not proven, or it begins with another version 1.
    """
    answer = read(caller.get(PATH), Configurations)
    if answer.founding != profile.cluster.digest:
        raise ConfigurationUnverified(
            f"the control plane's chain begins with {answer.founding}; the profile's cluster.json is "
            f"{profile.cluster.digest}"
        )
    try:
        return verified_chain(profile.cluster, answer.envelopes), answer
    except AeroError as error:
        raise ConfigurationUnverified(error.message) from error


def under(profile: Profile, caller: Caller, digest: str) -> Profile:
    """Return the profile under the version with a digest, which is verified here.

    Nothing is asked for where that is version 1.

    Raises:
        ConfigurationUnverified: it is of no chain that begins with the profile's version 1.
    """
    if digest == profile.cluster.digest:
        return profile
    found = shown_chain(profile, caller)[0].named(digest)
    if found is None:
        raise ConfigurationUnverified(
            f"what it was made under ({digest}) is no version that follows from the profile's cluster.json"
        )
    return replace(profile, cluster=found)


def chain_of(profile: Profile, caller: Caller, digests: Iterable[str]) -> Chain:
    """Return the chain of which documents name versions; nothing is asked for where they name version 1 alone.

    Raises:
        ConfigurationUnverified: see `shown_chain`.
    """
    alone = all(digest == profile.cluster.digest for digest in digests)
    return founded(profile.cluster) if alone else shown_chain(profile, caller)[0]
