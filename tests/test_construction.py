"""Rules that hold by construction, read from the source: one writer, no clock, no shadowed members, small files."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.lean_members import METHODS, PROPERTIES
from tools.shipped import PACKAGES

ROOT = Path(__file__).parent.parent
SHIPPED = [ROOT / "main.py", *(path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))]
PURE = [path for package in ("core", "risk", "strategies") for path in sorted((ROOT / package).rglob("*.py"))]

ORDER_METHODS = frozenset(
    {
        "combo_limit_order",
        "combo_market_order",
        "combo_leg_limit_order",
        "market_order",
        "limit_order",
        "stop_market_order",
        "stop_limit_order",
        "limit_if_touched_order",
        "trailing_stop_order",
        "market_on_close_order",
        "market_on_open_order",
        "set_holdings",
        "liquidate",
        "exercise_option",
        "submit_order_request",
    }
)
IN_LEANS_IMAGE = frozenset(
    {"numpy", "pandas", "scipy", "py_vollib", "exchange_calendars", "jsonschema", "msgpack", "networkx"}
)
OUTSIDE_STATE = frozenset({"now", "utcnow", "today", "time", "perf_counter", "monotonic"})


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def called(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.func.attr, node


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SHIPPED, ids=name_of)
def test_only_the_lean_broker_calls_an_order_method(path: Path) -> None:
    found = {attribute for attribute, _call in called(path)} & ORDER_METHODS
    assert found == set() or name_of(path) == "helpers/lean_broker.py"


def test_only_the_gateway_and_its_helpers_send_or_cancel_through_the_broker_port() -> None:
    senders = {
        name_of(path)
        for path in PURE
        for attribute, call in called(path)
        if attribute in ("send", "cancel")
        and isinstance(call.func, ast.Attribute)
        and "broker" in ast.unparse(call.func.value).lower()
    }
    assert senders
    assert all(name.startswith(("core/order_", "core/closing_")) for name in senders), senders


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_no_wall_clock_and_no_global_randomness(path: Path) -> None:
    imported = {
        alias.name.split(".")[0]
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in ([ast.alias(node.module or "")] if isinstance(node, ast.ImportFrom) else node.names)
    }
    # A lock that is never waited for is no clock; threads are LEAN's, and only there are they known.
    allowed = {"threading"} if name_of(path) == "core/turns.py" else set()
    assert not (imported - allowed) & {"time", "random", "secrets", "uuid", "os", "threading", "asyncio"}
    for attribute, call in called(path):
        owner = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""
        assert not (attribute in OUTSIDE_STATE and owner in ("datetime", "date", "time", "dt")), ast.unparse(call)


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_fp52_no_cache_outlives_a_step_on_a_decision_path(path: Path) -> None:
    cached = {
        decorator.func.id
        if isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Name)
        else ast.unparse(decorator)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
    }
    # The offsets of a date and the holidays of a year never change: they are tables, not decisions.
    allowed = {"core/eastern.py", "core/nyse_calendar.py"}
    assert not cached & {"lru_cache", "cache", "functools.cache", "functools.lru_cache"} or name_of(path) in allowed


def test_no_attribute_of_the_algorithm_can_overwrite_a_lean_member() -> None:
    algorithm = next(node for node in tree(ROOT / "main.py").body if isinstance(node, ast.ClassDef))
    assigned = {
        target.attr
        for node in ast.walk(algorithm)
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self"
    }
    assert assigned
    assert all(name.startswith("_") for name in assigned)
    own = {node.name for node in algorithm.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")}
    hooks = {name for name in own if name == "initialize" or name.startswith("on_")}
    assert own == hooks
    assert not {name for name in assigned if name in METHODS | PROPERTIES}


def test_there_is_one_algorithm_and_one_family_registry() -> None:
    algorithms = [
        node.name
        for node in tree(ROOT / "main.py").body
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "QCAlgorithm" for base in node.bases)
    ]
    assert algorithms == ["BulkheadAlgorithm"]
    registries = [name_of(path) for path in SHIPPED if '"SQQQ": ' in path.read_text(encoding="utf-8")]
    assert registries == ["core/vocabulary.py"]


@pytest.mark.parametrize("path", SHIPPED, ids=name_of)
def test_a_shipped_file_stays_below_the_smallest_cloud_quota(path: Path) -> None:
    assert path.stat().st_size < 32_000


@pytest.mark.parametrize("path", SHIPPED, ids=name_of)
def test_broad_handlers_stand_at_the_documented_containment_points_only(path: Path) -> None:
    broad = [
        node
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
    ]
    allowed = {"core/assembly.py": 1, "core/containment.py": 1}
    assert len(broad) <= allowed.get(name_of(path), 0)


@pytest.mark.parametrize("path", SHIPPED, ids=name_of)
def test_what_ships_imports_and_says_nothing_that_leans_image_lacks(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    modules = ast.parse(source, feature_version=(3, 11))
    imported = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(modules)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    known = {*sys.stdlib_module_names, *IN_LEANS_IMAGE, *PACKAGES, "AlgorithmImports", "System"}
    assert {module.split(".")[0] for module in imported} <= known


def test_the_lean_cli_finds_its_workspace_its_data_and_its_parameters() -> None:
    comments = re.compile(r"^\s*//.*$", re.MULTILINE)
    workspace = json.loads(comments.sub("", (ROOT / "lean.json").read_text(encoding="utf-8")))
    assert workspace["data-folder"] == "data"
    assert workspace["environment"] in workspace["environments"]
    project = json.loads((ROOT / "config.json").read_text(encoding="utf-8"))
    assert project["algorithm-language"] == "Python"
    assert all(isinstance(value, str) for value in project["parameters"].values())
