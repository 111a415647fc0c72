"""What holds for every test: nothing depends on how fast the machine is, or on how few files a user may open."""

import resource

from hypothesis import HealthCheck, settings

settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

# Some tests hold thousands of connections, and an ordinary user's usual limit is 1,024.
_, MOST = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (MOST, MOST))
