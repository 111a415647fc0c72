"""The passphrase of the authority's key: whoever has the files alone has no key, and no death leaves half of one."""

import resource
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from aerodb.errors import AeroError
from aerodb.local.certifying import issue, renew
from aerodb.local.errors import AuthorityAbsent, AuthorityUnusable, FolderUnusable
from aerodb.local.protecting import ASIDE, protect, protected_lines
from aerodb.local.replacing import BEFORE, replace_authority
from aerodb.transport.certificates import is_encrypted, read_key
from aerodb.transport.passphrase import PassphraseMissing, PassphraseRefused, PassphraseWrong, chosen, unasked, used
from tests.unit.local.joining import PASSPHRASE, admitting, joined, reachable, tree
from tests.unit.local.test_certifying import Ground, lets_in
from tests.unit.local.test_joining import killed_at

FIRST, SECOND = PASSPHRASE.encode(), b"another four words"
HEAD = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """Return a cluster's folder, whose authority's key is not encrypted."""
    return Ground(tmp_path)


def is_asked(answer: bytes, asked: list[bytes] | None = None) -> Callable[[], bytes]:
    """Return a person who answers, and notes that they were asked."""

    def typed() -> bytes:
        if asked is not None:
            asked.append(answer)
        return answer

    return typed


def key_file(ground: Ground) -> Path:
    """Return where the authority's key is."""
    return ground.layout.authority / "ca.key"


def closed(ground: Ground) -> Ground:
    """Encrypt the authority's key by the first passphrase."""
    protect(ground.layout.root, unasked, is_asked(FIRST))
    return ground


# Whoever has the file -------------------------------------------------------------------------------------------------


def test_only_the_key_changes_and_only_by_its_passphrase_is_it_read(ground: Ground) -> None:
    """It is the same key, in the standard's own encrypted form, private; no other file is touched, none is left."""
    before, key = ground.files(), read_key(key_file(ground))
    assert protect(ground.layout.root, unasked, is_asked(FIRST)) is False
    after = ground.files()
    assert {path for path in after if after[path] != before.get(path)} == {str(key_file(ground))}
    assert set(after) == set(before)
    assert after[str(key_file(ground))].startswith(HEAD)
    assert stat.S_IMODE(key_file(ground).stat().st_mode) == 0o600
    opened = load_pem_private_key(key_file(ground).read_bytes(), FIRST)
    assert opened.private_numbers() == key.private_numbers()  # type: ignore[union-attr]
    secret = before[str(key_file(ground))].splitlines()[1]
    assert not [path for path, data in after.items() if secret in data or FIRST in data]
    assert FIRST.decode() not in "\n".join(protected_lines(ground.layout.root, before=False))


def test_the_passphrase_is_asked_for_where_the_key_is_used_and_nowhere_else(ground: Ground) -> None:
    """A profile and a renewal need it, and hold as before; nobody is asked where the key is open, or is not needed."""
    root, asked = ground.layout.root, list[bytes]()
    renew(root, "ana", "person", is_asked(FIRST, asked))
    assert asked == []
    closed(ground)
    issue(root, "zoe", "operator", "", is_asked(FIRST, asked))
    renew(root, "ana", "person", is_asked(FIRST, asked))
    assert asked == [FIRST, FIRST]
    assert lets_in(ground.layout.control, ground.layout.profile("zoe"))
    with pytest.raises(AeroError):
        issue(root, "zoe", "operator", "", is_asked(FIRST, asked))  # They have a profile: seen before anybody is asked.
    with pytest.raises(AeroError):
        renew(root, "nobody", "person", is_asked(FIRST, asked))
    assert asked == [FIRST, FIRST]


@pytest.mark.parametrize("typed", [b"", SECOND, FIRST + b" ", b"\xff"])
def test_a_wrong_passphrase_changes_nothing_and_is_not_repeated(ground: Ground, typed: bytes) -> None:
    """The error has a code of its own, says which file, and has neither passphrase in it, nor a cause that has."""
    root, before = closed(ground).layout.root, ground.files()
    for act in (
        lambda: issue(root, "zoe", "operator", "", is_asked(typed)),
        lambda: renew(root, "ana", "person", is_asked(typed)),
        lambda: protect(root, is_asked(typed), is_asked(b"a third one, for once")),
    ):
        with pytest.raises(PassphraseWrong) as error:
            act()
        assert (error.value.code, error.value.domain) == ("input.passphrase-wrong", "input")
        assert str(key_file(ground)) in error.value.message
        assert (error.value.__cause__, error.value.__suppress_context__) == (None, True)
        assert not typed or typed.decode(errors="replace") not in error.value.message
    assert ground.files() == before


def test_where_nobody_is_asked_nothing_is_certified(ground: Ground) -> None:
    """As in a script: it is refused, and not taken for a damaged key."""
    root, before = closed(ground).layout.root, ground.files()
    for act in (lambda: issue(root, "zoe", "operator", ""), lambda: renew(root, "ana", "person")):
        with pytest.raises(PassphraseMissing):
            act()
    assert ground.files() == before


def test_a_damaged_key_that_was_encrypted_opens_for_nobody(ground: Ground) -> None:
    """It cannot be told from a wrong passphrase, so both are said; what is no key at all is said to be none."""
    data = bytearray(key_file(closed(ground)).read_bytes())
    data[200] ^= 1
    key_file(ground).write_bytes(bytes(data))
    with pytest.raises((PassphraseWrong, AuthorityUnusable)):
        renew(ground.layout.root, "ana", "person", is_asked(FIRST))
    key_file(ground).write_bytes(HEAD + b"\n")
    with pytest.raises(AuthorityUnusable):
        renew(ground.layout.root, "ana", "person", is_asked(FIRST))


def test_a_passphrase_is_one_text_of_some_length_typed_alike(ground: Ground) -> None:
    """However a keyboard writes an accent; what is refused says nothing of what was typed."""
    assert chosen("cafe\u0301 au lait, please", "caf\u00e9 au lait, please") == used("caf\u00e9 au lait, please")
    for first, again in (("", ""), ("eleven char", "eleven char"), ("x" * 201, "x" * 201), (PASSPHRASE, "Four words")):
        with pytest.raises(PassphraseRefused) as error:
            chosen(first, again)
        assert not first or first not in error.value.message
    longest = chosen("\U0001f512" * 200, "\U0001f512" * 200)  # A library takes 1,023 bytes at most.
    protect(ground.layout.root, unasked, is_asked(longest))
    renew(ground.layout.root, "ana", "person", is_asked(longest))


# Changing it ----------------------------------------------------------------------------------------------------------


def test_a_passphrase_is_changed_by_whoever_knows_it(ground: Ground) -> None:
    """The old one opens nothing any more."""
    root = closed(ground).layout.root
    assert protect(root, is_asked(FIRST), is_asked(SECOND)) is True
    renew(root, "ana", "person", is_asked(SECOND))
    with pytest.raises(PassphraseWrong):
        renew(root, "ana", "person", is_asked(FIRST))


def test_what_is_not_the_clusters_authority_is_not_touched(ground: Ground, tmp_path: Path) -> None:
    """Nor is one that is not there."""
    (tmp_path / "other").mkdir()
    other = Ground(tmp_path / "other")
    for name in ("ca.key", "ca.crt"):
        (ground.layout.authority / name).write_bytes((other.layout.authority / name).read_bytes())
    before = ground.files()
    with pytest.raises(AuthorityUnusable, match="trusts another"):
        protect(ground.layout.root, unasked, is_asked(FIRST))
    assert ground.files() == before
    for path in ground.layout.authority.iterdir():
        path.unlink()
    ground.layout.authority.rmdir()
    with pytest.raises(AuthorityAbsent):
        protect(ground.layout.root, unasked, is_asked(FIRST))


def test_two_at_once_exclude_each_other(ground: Ground) -> None:
    """The second one is told so, and the first one's passphrase is the key's."""
    root = ground.layout.root

    def meanwhile() -> bytes:
        with pytest.raises(FolderUnusable, match="another command"):
            protect(root, unasked, is_asked(SECOND))
        return FIRST

    protect(root, unasked, meanwhile)
    renew(root, "ana", "person", is_asked(FIRST))


def test_a_new_authority_is_encrypted_where_the_old_one_was(ground: Ground) -> None:
    """By a passphrase of its own; the old one may be forgotten. Where nobody can be asked nothing is replaced."""
    root = ground.layout.root
    replace_authority(root)
    assert not key_file(ground).read_bytes().startswith(HEAD)
    before = closed(ground).files()
    with pytest.raises(PassphraseMissing):
        replace_authority(root)
    assert {path: data for path, data in ground.files().items() if path in before} == before
    replace_authority(root, is_asked(SECOND))
    assert key_file(ground).read_bytes().startswith(HEAD)
    renew(root, "ana", "person", is_asked(SECOND))


def test_a_replacement_that_was_stopped_half_way_forgets_neither_authority_nor_passphrase(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Typed again it asks for a passphrase as before, and leaves nothing of the one before."""
    root = ground.layout.root
    protect(root, unasked, is_asked(FIRST))
    rename, renamed = Path.rename, list[Path]()

    def stopped(path: Path, target: Path) -> Path:
        renamed.append(path)
        if len(renamed) > 1:
            raise KeyboardInterrupt
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", stopped)
        with pytest.raises(KeyboardInterrupt):
            replace_authority(root, is_asked(SECOND))
    assert not ground.layout.authority.exists()
    assert is_encrypted(root / BEFORE / "ca.key")
    with pytest.raises(PassphraseMissing):
        replace_authority(root)
    replace_authority(root, is_asked(SECOND))
    assert is_encrypted(ground.layout.authority / "ca.key")
    assert not (root / BEFORE).exists()


def test_the_key_of_a_cluster_that_is_watched_is_encrypted_from_the_beginning(tmp_path: Path) -> None:
    """It was on no disk otherwise; the passphrase is in no file."""
    root = reachable(tmp_path)
    joined(root, "n1")
    admitting(root, "n1").make(root / "shop", FIRST)
    files = tree(root / "shop")
    assert files["authority/ca.key"].startswith(HEAD)
    assert not [path for path, data in files.items() if FIRST in data]
    with pytest.raises(PassphraseWrong):
        renew(root / "shop", "operator", "person", is_asked(SECOND))
    renew(root / "shop", "operator", "person", is_asked(FIRST))


# What fails, and what dies --------------------------------------------------------------------------------------------

TOUCHED = frozenset({"open", "os.rename", "os.remove"})


@pytest.mark.parametrize("before", [b"", FIRST])
def test_a_death_leaves_the_old_key_or_the_new_one(ground: Ground, before: bytes) -> None:
    """Killed before each step: the key opens by what it did, or by the new passphrase, and the next one goes on."""
    if before:
        closed(ground)
    root, old, key = ground.layout.root, key_file(ground).read_bytes(), read_key(key_file(ground), is_asked(before))
    seen = set[str]()
    for step in range(100):
        act = is_asked(before) if before else unasked
        killed = killed_at(step, root, lambda act=act: protect(root, act, is_asked(SECOND)), TOUCHED)  # type: ignore[misc]
        if key_file(ground).read_bytes() == old:
            seen.add("old, beside the new one" if (ground.layout.authority / ASIDE).exists() else "old")
        else:
            assert read_key(key_file(ground), is_asked(SECOND)).private_numbers() == key.private_numbers()
            seen.add("new")
            key_file(ground).write_bytes(old)
        left = {path.name for path in ground.layout.authority.iterdir()} - {"ca.key", "ca.crt"}
        assert left <= {ASIDE}
        if not killed:
            assert not left
            break
    assert seen == {"old", "old, beside the new one", "new"}


def test_a_disk_that_is_full_leaves_the_old_key(ground: Ground) -> None:
    """It is said, with a code, and the key is as it was."""
    before, limits = key_file(ground).read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(FolderUnusable, match="cannot be written"):
            protect(ground.layout.root, unasked, is_asked(FIRST))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert key_file(ground).read_bytes() == before
    closed(ground)
    assert {path.name for path in ground.layout.authority.iterdir()} == {"ca.crt", "ca.key"}
