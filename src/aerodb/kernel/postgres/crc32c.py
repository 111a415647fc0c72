"""CRC-32C, with which PostgreSQL protects its control file and each record of its WAL. Pure.

Source: PostgreSQL's port/pg_crc32c.h; RFC 3720, appendix B.4, for vectors.
"""

from collections.abc import Iterable

_POLYNOMIAL_REVERSED = 0x82F63B78


def _entry(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (_POLYNOMIAL_REVERSED if value & 1 else 0)
    return value


_TABLE = tuple(map(_entry, range(256)))


def crc32c(content: Iterable[int]) -> int:
    """Return the CRC-32C of bytes; some hundred of them take some ten microseconds."""
    value = 0xFFFFFFFF
    for byte in content:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF
