"""From configuration directories to the catalogue of tokens, networks and venues, with its faults at their lines."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dataflow.config.binding import CODE_OF_KIND, Bound, ConfigFault, place
from dataflow.config.yaml_lines import Document
from schemas.models.catalogue import CATALOGUE_RULES, Catalogue
from schemas.models.config_base import RuleFault, broken_rules
from schemas.models.config_tokens import NetworkConfig, TokenConfig, TokenFile
from schemas.models.config_venues import VenueConfig

TOKENS_FILE: Final = "tokens.yaml"
_SUFFIXES: Final = (".yaml", ".yml")

FACTS_OF_VENUE: Final = (
    "venue",
    "venue_type",
    "supported_operations",
    "key_prefix",
    "key_aliases",
    "quote",
    "products",
    "issues",
    "rewards",
    "reserves",
)
"""Keys of a venue that say which balances exist: where one is at fault, no position key can be judged."""


def yaml_files(directory: Path) -> list[Path]:
    """Return the YAML files in a directory, its own ones only, sorted."""
    return sorted(path for path in directory.glob("*") if path.suffix in _SUFFIXES)


@dataclass(frozen=True)
class ConfigTree:
    """The directories that configuration is read from: a file of a later one replaces that of its name in an earlier.

    ``tokens.yaml`` is replaced token by token.
    """

    roots: tuple[Path, ...]

    def files(self, family: str) -> dict[str, Path]:
        """Return the files of a family (a directory below a root) by name: those of the first root first."""
        return {path.stem: path for root in self.roots for path in yaml_files(root / family)}

    def find(self, family: str, name: str) -> Path | None:
        """Return the file of a name in a family; None without one."""
        return self.files(family).get(name)

    def token_files(self) -> list[Path]:
        """Return the files of tokens, earlier roots first."""
        return [path for root in self.roots if (path := root / TOKENS_FILE).is_file()]


@dataclass(frozen=True)
class FileReaders:
    """How the files of the catalogue become documents and models; their own faults are collected by the readers."""

    tokens: Callable[[Path], tuple[Document, Bound[TokenFile]]]
    network: Callable[[Path], tuple[Document, Bound[NetworkConfig]]]
    venue: Callable[[Path], tuple[Document, Bound[VenueConfig]]]


@dataclass
class CatalogueFiles:
    """The catalogue as far as its files are sound.

    ``is_sound`` says that balances and their venues can be judged by it; ``faults`` are those between files.
    """

    model: Catalogue
    venues: Mapping[str, Bound[VenueConfig]]
    is_sound: bool
    faults: list[ConfigFault] = field(default_factory=list)


def read_catalogue(tree: ConfigTree, readers: FileReaders) -> CatalogueFiles:
    """Read every token, network and venue, and run the rules between them."""
    documents: dict[tuple[str, str], Document] = {}
    tokens: dict[str, TokenConfig] = {}
    networks: dict[str, NetworkConfig] = {}
    venues: dict[str, Bound[VenueConfig]] = {}
    is_sound = True
    for path in tree.token_files():
        document, bound = readers.tokens(path)
        is_sound &= not bound.faults
        tokens |= getattr(bound.model, "tokens", {})
        documents |= {("tokens", name): document for name in getattr(bound.model, "tokens", {})}
    for name, path in tree.files("networks").items():
        documents["networks", name], network = readers.network(path)
        is_sound &= not network.faults
        networks[name] = network.model
    for name, path in tree.files("venues").items():
        documents["venues", name], venues[name] = readers.venue(path)
        unreadable = {key.split(".")[0] for key in venues[name].unreadable}
        is_sound &= unreadable.isdisjoint(FACTS_OF_VENUE) and venues[name].model.venue == name
    catalogue = Catalogue.model_construct(
        None, tokens=tokens, networks=networks, venues={name: bound.model for name, bound in venues.items()}
    )
    broken = list(broken_rules(catalogue, CATALOGUE_RULES)) if is_sound else []
    faults = list(_placed(broken, documents))
    return CatalogueFiles(catalogue, venues, is_sound and not faults, faults)


def _placed(broken: list[RuleFault], documents: Mapping[tuple[str, str], Document]) -> Iterator[ConfigFault]:
    """Yield the faults of rules at their lines: the first two parts of a key say in which file it is."""
    for fault in broken:
        family, name = str(fault.key[0]), str(fault.key[1])
        location = fault.key if family == "tokens" else fault.key[2:]
        yield place(documents[family, name], location, CODE_OF_KIND[fault.kind.value], fault.message)
