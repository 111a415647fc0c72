"""CRC-32C is the one that others mean by it; bytes that PostgreSQL did not write are not understood.

That what it did write is understood as its programs understand it, `tests/faults/test_by_bytes.py` proves.
"""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb.kernel.postgres.crc32c import crc32c
from aerodb.kernel.postgres.layout import CONTROL_FILE_BYTES, CONTROL_VERSIONS, control_in

CRC_AT = {1300: 288, 1800: 292}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_the_checksum_is_that_of_the_standard(content: bytes, expected: int) -> None:
    """The vectors of RFC 3720, and the one by which such checksums are known."""
    assert crc32c(content) == expected


@given(st.sampled_from(sorted(CONTROL_VERSIONS)), st.binary(min_size=300, max_size=300))
def test_a_right_checksum_alone_makes_no_control_file(major: int, noise: bytes) -> None:
    """Of bytes under a checksum that is right, and with the right version, anything implausible is refused."""
    version = CONTROL_VERSIONS[major]
    used = noise[:8] + struct.pack("<I", version) + noise[12 : CRC_AT[version]]
    content = used + struct.pack("<I", crc32c(used))
    assert control_in(content.ljust(CONTROL_FILE_BYTES, b"\0"), major) is None
