"""Params and results against `snippets/openrpc.json`, the one place where their shapes are written down.

Schemas are compiled on first use. A result that its schema does not describe is a bug of this mock and never leaves it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from handbook.node.failure import StartFailure

SNIPPETS = Path(__file__).resolve().parents[2] / "snippets"
Check = Callable[[Any], bool]


def _anything(_: Any) -> bool:
    return True


class Contract:
    """The OpenRPC document. `methods` are its method objects by name."""

    def __init__(self, directory: Path = SNIPPETS) -> None:
        self._directory = directory
        self._registry: Any = None
        self._params: dict[str, Check] = {}
        self._results: dict[str, Any] = {}
        try:
            document = json.loads((directory / "openrpc.json").read_text())
            self.methods: dict[str, dict[str, Any]] = {method["name"]: method for method in document["methods"]}
        except (OSError, ValueError, KeyError) as error:
            hint = "run the node from a checkout of the handbook: pip install -e ."
            raise StartFailure(f"{directory}/openrpc.json: {error}", "expected the OpenRPC document", hint) from None

    def params_fit(self, method: str, params: Any) -> bool:
        check = self._params.get(method)
        if check is None:
            check = self._params[method] = self._params_check(self.methods[method])
        return check(params)

    def misfit(self, method: str, result: Any) -> str | None:
        """Why the result breaks its schema; None when it fits."""
        validator = self._results.get(method)
        if validator is None:
            validator = self._results[method] = self._compile(self.methods[method]["result"]["schema"])
        if validator.is_valid(result):
            return None
        error = next(validator.iter_errors(result))
        return f"{method} result at {'/'.join(map(str, error.instance_path)) or '.'}: {error.message}"

    def params_misfit(self, method: str, params: Any) -> str | None:
        """Why the params break their schema; None when they fit. Compiles anew: for the journal, not for calls."""
        validator = self._compile(params_schema(self.methods[method]))
        error = next(validator.iter_errors({} if params is None else params), None)
        return error and f"{'/'.join(map(str, error.instance_path)) or 'params'}: {error.message}"

    def warm(self) -> None:
        """Compiles everything, so that no first call waits."""
        for name, method in self.methods.items():
            self._params.setdefault(name, self._params_check(method))
            self._results.setdefault(name, self._compile(method["result"]["schema"]))

    def _params_check(self, method: dict[str, Any]) -> Check:
        if method.get("x-params-check") == "none":
            return _anything
        check: Check = self._compile(params_schema(method)).is_valid
        return check

    def _compile(self, schema: dict[str, Any]) -> Any:
        import jsonschema_rs

        if self._registry is None:
            documents = [json.loads(path.read_text()) for path in sorted((self._directory / "schemas").glob("*.json"))]
            self._registry = jsonschema_rs.Registry([(d["$id"], d) for d in documents if "$id" in d])
        return jsonschema_rs.Draft202012Validator(schema, registry=self._registry)


def params_schema(method: dict[str, Any]) -> dict[str, Any]:
    """The method's params as one object schema.

    Members it does not name are ignored by the node, so they are allowed.
    """
    return {
        "type": "object",
        "properties": {param["name"]: param["schema"] for param in method["params"]},
        "required": [param["name"] for param in method["params"] if param.get("required")],
    }
