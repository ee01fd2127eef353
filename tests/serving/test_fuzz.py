"""Every operation with values that come by mistake or on purpose: each is answered, none by a 5xx."""

import copy
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

TEXTS = (
    "",
    "a\0b",
    "\ud800",
    "\u202eمرحبا\u202c",
    "\U0001f3b5e\u0301\u200d",
    "..\\/../etc/passwd",
    "%00%ff{0}${x}'\";--",
    "x" * 3000,
    "\r\nSet-Cookie: a=b",
    "-1",
    "NaN",
    "1e999",
    "9" * 400,
    "2147483648",
    "9223372036854775808",
)
VALUES = (*TEXTS, None, True, -1, 0, 1e308, 2**63, -(2**63) - 1, 10**400, [], {}, [[]], [None], {"a": {"b": []}})
RAW = (b"", b"{", b"[" * 50_000, b'{"a":' * 20_000, b"\xff\xfe", b"NaN", b'{"a": 1e999}', b"9" * 9000, b'"\\ud800"')


@pytest.mark.slow
def test_no_value_makes_an_operation_fail(serve: Any, store_url: str) -> None:
    client: httpx.Client = serve(store_url=store_url, requests_per_minute=0, uploads_per_minute=0)
    schema = client.get("/openapi.json").json()
    asked, failed = 0, []
    cluster = client.get("/v1/clusters").json()["items"][0]["id"]
    for method, path, operation in operations(schema):
        for target, body, headers in requests_of(schema, path.replace("{cluster_id}", cluster), operation):
            answer = client.request(method, target, content=body, headers=headers)
            asked += 1
            subsonic = path.startswith("/rest/")
            is_problem = answer.headers.get("content-type", "").startswith("application/problem+json")
            if answer.status_code >= 500 or (answer.status_code >= 400 and not (is_problem or subsonic)):
                failed.append((method, target[:120], (body or b"")[:120], answer.status_code, answer.text[:150]))
    assert failed == []
    assert asked > 3000, asked
    assert client.get("/v1/users/u03/recommendations").status_code == 200


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield method, path and description of each."""
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def requests_of(
    schema: dict[str, Any], path: str, operation: dict[str, Any]
) -> Iterator[tuple[str, bytes | None, dict[str, str]]]:
    """Yield addresses, bodies and headers, each with one thing that is odd."""
    queries = [each["name"] for each in operation.get("parameters", []) if each["in"] == "query"]
    names = re.findall(r"{(\w+)}", path)
    usual = {name: "u01" if "user" in name else "low0" for name in names}
    plain = path.format(**usual)
    content = operation.get("requestBody", {}).get("content", {})
    example = example_of(schema, content["application/json"]) if "application/json" in content else None
    kind = {"Content-Type": "application/json"} if example is not None else {}
    body = None if example is None else json.dumps(example).encode()
    yield plain, body, kind
    for name, text in itertools.product(names, TEXTS):
        yield path.format(**{**usual, name: encoded(text)}), body, kind
    if not (path.startswith("/rest/") and content):
        for query, text in itertools.product(queries, TEXTS):
            yield f"{plain}?{query}={encoded(text)}", body, kind
    if content:
        for raw, sent_as in itertools.product(RAW, (*content, "text/plain", "multipart/form-data; boundary=")):
            yield plain, raw, {"Content-Type": sent_as}
    for place, value in itertools.product(places_in(example), VALUES):
        yield plain, json.dumps(replaced(example, place, value)).encode(), kind
    if "application/x-www-form-urlencoded" in content:
        for text in TEXTS:
            yield plain, f"id={encoded(text)}".encode(), {"Content-Type": "application/x-www-form-urlencoded"}


def encoded(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


def example_of(schema: dict[str, Any], content: dict[str, Any]) -> Any:
    """Return the example of a body."""
    shape = content["schema"]
    if "$ref" in shape:
        shape = schema["components"]["schemas"][shape["$ref"].rsplit("/", 1)[1]]
    return shape["example"] if "example" in shape else shape["examples"][0]


def places_in(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where in a JSON value its parts lie."""
    yield place
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places_in(part, (*place, key))


def replaced(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    """Return `value` with another part at `place`."""
    if not place:
        return new
    changed = copy.copy(value)
    changed[place[0]] = replaced(value[place[0]], place[1:], new)
    return changed
