"""CRC-32C is the one that others mean by it; bytes that PostgreSQL did not write are not understood.

That what it did write is understood as its programs understand it, `tests/faults/test_by_bytes.py` proves.
"""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb.kernel.postgres.capabilities import MAJORS, NEWEST, OLDEST
from aerodb.kernel.postgres.crc32c import crc32c
from aerodb.kernel.postgres.layout import CONTROL_FILE_BYTES, control_in

CRC_AT = {1300: 288, 1700: 288, 1800: 292}


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


@given(st.sampled_from(sorted(MAJORS)), st.binary(min_size=300, max_size=300))
def test_a_right_checksum_alone_makes_no_control_file(major: int, noise: bytes) -> None:
    """Of bytes under a checksum that is right, and with the right version, anything implausible is refused."""
    version = MAJORS[major].control_version
    used = noise[:8] + struct.pack("<I", version) + noise[12 : CRC_AT[version]]
    content = used + struct.pack("<I", crc32c(used))
    assert control_in(content.ljust(CONTROL_FILE_BYTES, b"\0"), major) is None


@pytest.mark.parametrize("major", [OLDEST - 1, NEWEST + 1])
def test_the_files_of_a_version_that_is_not_known_are_not_understood(major: int) -> None:
    """Not even bytes that are right for a known one: nobody knows what that version means by them."""
    used = bytes(8) + struct.pack("<I", MAJORS[NEWEST].control_version) + bytes(280)
    assert control_in((used + struct.pack("<I", crc32c(used))).ljust(CONTROL_FILE_BYTES, b"\0"), major) is None
