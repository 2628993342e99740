import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.errors import InvalidArgument
from wherry.messages.container import BindOptions, HostConfig, Mount, TmpfsOptions
from wherry.runtime.mount_options import parse_options, tmpfs_options
from wherry.runtime.mounts import MountPoint, in_mount_order, parse_bind, parse_mount, requested, tmpfs_point
from wherry.runtime.steps import MountFlag


def test_bind_of_a_host_directory():
    point = parse_bind("/srv/data:/data:ro")
    assert (point.type, point.source, point.target) == ("bind", "/srv/data", "/data")
    assert not point.writable
    assert point.propagation == "rprivate"
    assert point.create_source
    assert str(point.cause) == "request: -v /srv/data:/data:ro"


def test_volumes_by_name_and_without():
    named, anonymous = parse_bind("data:/var/lib/x:nocopy"), parse_bind("/var/lib/y")
    assert (named.type, named.name, named.source, named.copy) == ("volume", "data", "", False)
    assert (anonymous.type, anonymous.name, anonymous.target) == ("volume", "", "/var/lib/y")


def test_modes_may_be_combined_but_not_repeated():
    assert parse_bind("/a:/b:ro,z,rslave").propagation == "rslave"
    for mode in ("ro,rw", "ro,ro", "z,Z", "shared,slave", "bad", "ro,", "unbindable"):
        with pytest.raises(InvalidArgument, match="invalid mode"):
            parse_bind(f"/a:/b:{mode}")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("", "invalid volume specification: ''"),
        (":/b", "invalid volume specification: ':/b'"),
        ("/a:ro", "invalid volume specification: '/a:ro'"),
        ("/a:/b:ro:x", "invalid volume specification: '/a:/b:ro:x'"),
        (
            "/a:b",
            "invalid volume specification: '/a:b': invalid mount config for type \"bind\": "
            "invalid mount path: 'b' mount path must be absolute",
        ),
        (
            "/a:/",
            "invalid volume specification: '/a:/': invalid mount config for type \"bind\": "
            "invalid specification: destination can't be '/'",
        ),
        (
            "/a::ro",
            "invalid volume specification: '/a::ro': invalid mount config for type \"bind\": "
            "field Target must not be empty",
        ),
        (
            "data:/b:rslave",
            "invalid volume specification: 'data:/b:rslave': invalid mount config for type \"volume\": "
            "field BindOptions must not be specified",
        ),
    ],
)
def test_refused_with_dockers_words(raw: str, text: str):
    with pytest.raises(InvalidArgument) as error:
        parse_bind(raw)
    assert error.value.message == text


@given(st.text(alphabet=st.sampled_from("/ab.:,rowzZ\0 \\"), max_size=24))
def test_any_bind_is_refused_or_safe(raw: str):
    try:
        point = parse_bind(raw)
    except InvalidArgument:
        return
    assert point.target.startswith("/")
    assert point.target.strip("/") not in ("", ".", "..")
    assert ".." not in point.target.split("/")
    assert "\0" not in point.target
    assert (point.type == "bind") == point.source.startswith("/")


def test_paths_are_made_plain():
    point = parse_bind("/a/../b/:/c/./d//e/")
    assert (point.source, point.target) == ("/b", "/c/d/e")
    with pytest.raises(InvalidArgument):
        parse_bind("/a:/c/..")


def test_mount_bind():
    point = parse_mount(Mount(type="bind", source="/a", target="/b", read_only=True))
    assert (point.source, point.writable, point.create_source, point.recursive) == ("/a", False, False, True)
    options = BindOptions(propagation="shared", non_recursive=True, create_mountpoint=True)
    point = parse_mount(Mount(type="bind", source="/a", target="/b", bind_options=options))
    assert (point.propagation, point.recursive, point.create_source) == ("shared", False, True)


@pytest.mark.parametrize(
    ("mount", "text"),
    [
        (
            Mount(type="bind", target="/b"),
            'invalid mount config for type "bind": field Source must not be empty',
        ),
        (
            Mount(type="bind", source="/a"),
            'invalid mount config for type "bind": field Target must not be empty',
        ),
        (
            Mount(type="tmpfs", source="/a", target="/b"),
            'invalid mount config for type "tmpfs": field Source must not be specified',
        ),
        (Mount(type="npipe", target="/b"), 'invalid mount config for type "npipe": mount type unknown'),
        (
            Mount(type="volume", target="/b", read_only=True),
            'invalid mount config for type "volume": must not set ReadOnly mode when using anonymous volumes',
        ),
        (
            Mount(type="bind", source="/a", target="/b", bind_options=BindOptions(propagation="odd")),
            'invalid mount config for type "bind": invalid propagation mode: odd',
        ),
        (
            Mount(type="bind", source="a", target="/b"),
            "invalid mount config for type \"bind\": invalid mount path: 'a' mount path must be absolute",
        ),
    ],
)
def test_mount_refused(mount: Mount, text: str):
    with pytest.raises(InvalidArgument) as error:
        parse_mount(mount)
    assert error.value.message == text


def test_duplicates():
    with pytest.raises(InvalidArgument) as error:
        requested(HostConfig(binds=["/a:/data"], mounts=[Mount(type="bind", source="/c", target="/data/")]))
    assert error.value.message == "Duplicate mount point: /data"


def test_tmpfs_options_as_docker_merges_them():
    assert tmpfs_options("") == ["noexec", "nosuid", "nodev", "rprivate"]
    assert tmpfs_options("exec,size=1m,size=2m") == ["nosuid", "nodev", "rprivate", "exec", "size=2m"]
    assert tmpfs_options("rw,mode=1777") == ["noexec", "nosuid", "nodev", "rprivate", "rw", "mode=1777"]
    for bad in ("size", "size=", "evil=1", "rw,,ro"):
        with pytest.raises(InvalidArgument, match="invalid tmpfs option"):
            tmpfs_options(bad)


def test_tmpfs_mounts():
    options = TmpfsOptions(size_bytes=64 << 20, mode=0o1770)
    assert parse_mount(Mount(type="tmpfs", target="/t", tmpfs_options=options)).data == "mode=1770,size=64m"
    assert parse_mount(Mount(type="tmpfs", target="/t", read_only=True)).data == "ro"
    assert tmpfs_point("/run/", "size=5").target == "/run"
    for target in ("/", "run", "/a/.."):
        with pytest.raises(InvalidArgument):
            tmpfs_point(target, "")


def test_shallow_before_deep():
    points = [MountPoint("bind", target) for target in ("/a/b/c", "/z", "/a/b", "/a")]
    assert [point.target for point in in_mount_order(points)] == ["/a", "/z", "/a/b", "/a/b/c"]


def test_oci_options():
    options = parse_options(["rbind", "rro", "rslave", "nosuid"])
    assert options.flags == MountFlag.BIND | MountFlag.REC | MountFlag.NOSUID
    assert options.everywhere == MountFlag.RDONLY
    assert options.propagation == MountFlag.SLAVE | MountFlag.REC
    assert parse_options(["ro", "rw"]).flags == MountFlag(0)
    assert parse_options(["mode=755", "size=1k"]).data == "mode=755,size=1k"


@pytest.mark.parametrize(
    ("option", "named"),
    [("foo=bar", "foo"), ("huge=never", "huge"), ("bind", "bind"), ("rbind", "rbind"), ("remount", "remount"),
     ("rro", "rro"), ("size=1m,", ""), ("MODE=700", "MODE"), ("size=x", "size=x")],
)  # fmt: skip
def test_what_no_tmpfs_has_is_named(option, named):
    with pytest.raises(InvalidArgument) as refused:
        tmpfs_options(option)
    assert refused.value.message == f'invalid tmpfs option "{named}"'


@pytest.mark.parametrize(
    ("first", "second"),
    [("ro", "rw"), ("sync", "async"), ("mand", "nomand"), ("diratime", "nodiratime"), ("exec", "noexec")],
)
def test_the_last_of_opposites_counts(first, second):
    for one, other in ((first, second), (second, first)):
        kept = tmpfs_options(f"{one},{other}")
        assert other in kept and one not in kept


def test_what_the_filesystem_itself_takes_is_its_data():
    options = parse_options(tmpfs_options("sync,dirsync,mand,nodiratime,size=1m"))
    assert options.data == "sync,dirsync,mand,size=1m"
    assert MountFlag.NODIRATIME in options.flags
    assert parse_options(["async", "nomand", "diratime", "defaults"]) == parse_options([])


@pytest.mark.parametrize("kind", ["bind", "tmpfs", "volume"])
def test_options_of_another_type_are_refused(kind):
    own = {"bind": "BindOptions", "tmpfs": "TmpfsOptions", "volume": "VolumeOptions"}
    source = {"Source": "/a"} if kind == "bind" else {}
    for options in own.values():
        mount = msgspec.convert({"Type": kind, "Target": "/x", **source, options: {}}, Mount)
        if options == own[kind]:
            parse_mount(mount)
            continue
        with pytest.raises(InvalidArgument, match=f'{options} must not be specified on mount type "{kind}"'):
            parse_mount(mount)
