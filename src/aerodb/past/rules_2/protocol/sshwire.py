"""SSH's wire encoding: strings, integers, and nothing left over.

- Every length is checked before it is used, and a value has one encoding only: an mpint that is negative or not
  minimal is refused.

Pure: no I/O, no clock. Source: RFC 4251 section 5.
"""

from aerodb.past.rules_2.errors import AeroError


class WireMalformed(AeroError):
    """The bytes are not what SSH's encoding says should stand here."""

    code = "input.ssh-malformed"
    status = 400
    title = "The SSH data is malformed"


class WireReader:
    """Takes values off the front of `data`, strictly, in order."""

    def __init__(self, data: bytes) -> None:
        self._rest = data

    def take(self, length_bytes: int) -> bytes:
        """Return the next `length_bytes` bytes.

        Raises:
            WireMalformed: fewer are left.
        """
        if length_bytes > len(self._rest):
            raise WireMalformed(f"{length_bytes} bytes should follow, and {len(self._rest)} are left")
        taken, self._rest = self._rest[:length_bytes], self._rest[length_bytes:]
        return taken

    def byte(self) -> int:
        """Return the next byte as a number."""
        return self.take(1)[0]

    def uint32(self) -> int:
        """Return the next big-endian 32-bit number."""
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        """Return the next length-prefixed string."""
        return self.take(self.uint32())

    def text(self) -> str:
        """Return the next length-prefixed string, which must be printable ASCII, as all names are.

        Raises:
            WireMalformed: it is not.
        """
        raw = self.string()
        if not all(0x20 <= byte < 0x7F for byte in raw):
            raise WireMalformed("a name is not printable ASCII")
        return raw.decode("ascii")

    def mpint(self) -> int:
        """Return the next integer of any size.

        Raises:
            WireMalformed: it is negative, or has a leading zero byte that it does not need.
        """
        raw = self.string()
        value = int.from_bytes(raw, "big", signed=True)
        if value < 0 or mpint(value) != string(raw):
            raise WireMalformed("an integer is negative or not in its shortest form")
        return value

    def end(self) -> None:
        """Refuse anything that is left.

        Raises:
            WireMalformed: bytes trail behind the last value.
        """
        if self._rest:
            raise WireMalformed(f"{len(self._rest)} bytes trail behind the last value")


def uint32(value: int) -> bytes:
    """Return `value` as a big-endian 32-bit number."""
    return value.to_bytes(4, "big")


def string(value: bytes) -> bytes:
    """Return `value` with its length before it."""
    return uint32(len(value)) + value


def mpint(value: int) -> bytes:
    """Return the shortest encoding of an integer that is not negative."""
    return string(value.to_bytes(value.bit_length() // 8 + 1, "big") if value else b"")
