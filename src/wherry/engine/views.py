"""What a client may see: containers, images and networks, each joined with what the others know of it. Only looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from wherry.engine.config import EngineConfig
from wherry.engine.containers import Containers, ListQuery, Planned, Sizes
from wherry.engine.exec import Execs
from wherry.engine.image import Images, ImageView
from wherry.engine.network import Networks
from wherry.engine.paths import ContainerPaths
from wherry.engine.platform import check_platform
from wherry.engine.record import ContainerView
from wherry.engine.task import layer_names
from wherry.errors import InvalidArgument, NotFound, WherryError
from wherry.image.manifest import Platform
from wherry.messages.base import ZERO_TIME
from wherry.messages.network import EndpointResource, NetworkResource
from wherry.messages.plan import PlanComparison, PlanDifference, PlanSource
from wherry.runtime.cgroups import Cgroups
from wherry.runtime.plan_view import compare
from wherry.runtime.spec import default_cgroup_namespace

ID_WORD = "<id>"  # two containers always differ in their ids


@dataclass(frozen=True, slots=True)
class Places:
    """Where a container's files are on the host; empty strings where they are not made as yet."""

    log: str = ""
    hosts: str = ""
    hostname: str = ""
    resolv_conf: str = ""
    lower: str = ""
    upper: str = ""
    work: str = ""
    merged: str = ""


@dataclass(frozen=True, slots=True)
class ContainerDetail:
    """One container, looked at closely. ``exec_ids`` are of those that run; ``cgroupns_mode`` is the one it has, and so
    are the names: those of another one, whose network it shares."""

    view: ContainerView
    hostname: str
    domainname: str
    places: Places
    exec_ids: list[str]
    cgroupns_mode: str


@dataclass(frozen=True, slots=True)
class ContainerLine:
    """One container in a list. ``image`` is the name to show: an id once the name means another image."""

    view: ContainerView
    image: str


@dataclass(frozen=True, slots=True)
class ImageDetail:
    """One image, looked at closely. ``directories`` are those of its layers, lowest first."""

    view: ImageView
    directories: list[str]


class Views:
    """What the parts of one engine show, together."""

    def __init__(
        self,
        config: EngineConfig,
        containers: Containers,
        execs: Execs,
        images: Images,
        networks: Networks,
        cgroups: Cgroups,
    ) -> None:
        self._config = config
        self._containers = containers
        self._execs = execs
        self._images = images
        self._networks = networks
        self._cgroupns_mode = default_cgroup_namespace(cgroups.version)

    # ------------------------------------------------------------ containers

    def container(self, ref: str) -> ContainerDetail:
        """NotFound, InvalidArgument."""
        view = self._containers.find(ref)
        mode = view.record.host_config.cgroupns_mode or self._cgroupns_mode
        lender = self._containers.lender(view.record) if tried(view) else view.record
        return ContainerDetail(
            view,
            lender.config.hostname or view.id[:12],
            lender.config.domainname,
            self._places(view, lender.id),
            self._execs.of_container(view.id),
            mode,
        )

    def containers(self, query: ListQuery) -> list[ContainerLine]:
        """Newest first. The filter ``ancestor`` may have names of images. InvalidArgument, NotFound for a filter."""
        return self._lines(self._containers.list(self._with_ancestors(query)))

    async def containers_in_thread(self, query: ListQuery) -> list[ContainerLine]:
        """The same, for a query whose filters take time."""
        return self._lines(await self._containers.list_in_thread(self._with_ancestors(query)))

    def _lines(self, views: Sequence[ContainerView]) -> list[ContainerLine]:
        current = {name: self._image_id(name) for name in {view.record.config.image for view in views}}
        return [ContainerLine(view, shown_image(view, current)) for view in views]

    async def sizes(self, views: Sequence[ContainerView]) -> list[Sizes]:
        """What each takes on the disk, counted now."""
        return [await self._containers.size(view.id) for view in views]

    def _places(self, view: ContainerView, lender: str) -> Places:
        """What is made at the first start has no place before it. Files in /etc may be another container's."""
        paths, lent = ContainerPaths(self._config, view.id), ContainerPaths(self._config, lender)
        made = tried(view)
        return Places(
            log=paths.log if made else "",
            hosts=lent.hosts if made else "",
            hostname=lent.hostname if made else "",
            resolv_conf=lent.resolv_conf if made else "",
            lower=":".join(reversed(self._layers(view.record.image))),
            upper=paths.upper,
            work=paths.work,
            merged=paths.merged,
        )

    def _layers(self, image: str) -> list[str]:
        """None where the image has been removed by force."""
        try:
            names = layer_names(self._images.find(image))
        except NotFound:
            return []
        return [f"{self._config.layers_dir}/{name}" for name in names]

    def _with_ancestors(self, query: ListQuery) -> ListQuery:
        wanted = query.filters.get("ancestor")
        if not wanted:
            return query
        return replace(query, filters=query.filters.replace("ancestor", map(self._image_id, wanted)))

    def _image_id(self, name: str) -> str:
        """The id that a name means now; empty, which is no id, where it means none."""
        try:
            return self._images.find(name).id
        except WherryError:
            return ""

    # ------------------------------------------------------------ images, networks, plans

    def image(self, ref: str, platform: Platform | None = None) -> ImageDetail:
        """NotFound, also where it is of another platform than the one asked for."""
        view = self._images.view(ref)
        if platform is not None:
            check_platform(ref, view.record, platform)
        return ImageDetail(view, self._layers(view.record.id))

    def network(self, ref: str) -> NetworkResource:
        """One network, with the containers that run on it. NotFound, InvalidArgument."""
        return self._networks.inspect(ref, self._endpoints(self._networks.find(ref).name))

    def _endpoints(self, network: str) -> dict[str, EndpointResource]:
        leases = ((view, view.attachments.get(network)) for view in self._containers.list(ListQuery()))
        return {
            view.id: EndpointResource(
                name=view.record.name,
                endpoint_id=lease.endpoint_id,
                mac_address=lease.mac,
                ipv4_address=lease.address,
            )
            for view, lease in leases
            if lease is not None
        }

    async def plan_difference(self, sides: PlanComparison) -> PlanDifference:
        """How two plans differ, with causes. InvalidArgument for a side that is none, and what planning raises."""
        first, second = await self._planned(sides.a, "A"), await self._planned(sides.b, "B")
        return compare(first.view(ID_WORD), second.view(ID_WORD), title(sides.a), title(sides.b))

    async def _planned(self, source: PlanSource, side: str) -> Planned:
        if source.create is not None:
            return await self._containers.dry_run(source.create)
        if not source.container:
            raise InvalidArgument(f"{side} is neither a container nor an image with options")
        return self._containers.plan(source.container, anew=True)


def tried(view: ContainerView) -> bool:
    """Whether it has ever been started, be it in vain."""
    return view.state.started_at != ZERO_TIME or view.state.error != ""


def shown_image(view: ContainerView, current: dict[str, str]) -> str:
    name = view.record.config.image
    return name if current[name] == view.record.image else view.record.image


def title(source: PlanSource) -> str:
    """What a plan is called for a reader: the image or the container that it was asked for."""
    return source.create.image if source.create is not None else source.container
