"""``subsonic-response``: one content, as XML or JSON."""

from __future__ import annotations

import json
import re
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from xml.etree import ElementTree

from starlette.responses import Response

API_VERSION = "1.16.1"
NAME = "firstlisten"
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
GENERIC, MISSING, WRONG, NO_TOKENS, UNSUPPORTED, CONFLICT, BAD_KEY, FORBIDDEN, NOT_FOUND = (
    0,
    10,
    40,
    41,
    42,
    43,
    44,
    50,
    70,
)


class SubsonicError(Exception):
    """An answer that says *failed*, with a code of Subsonic's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def server_version() -> str:
    """Return this release's number."""
    try:
        return version(NAME)
    except PackageNotFoundError:
        return "0"


def envelope(form: str, content: dict[str, Any]) -> Response:
    """Wrap a content up.

    Parameters
    ----------
    form : str
        ``json``; anything else is XML.
    content : dict
        In JSON it stays as it is. In XML plain values become attributes, dicts elements, lists one element each; None
        is left out of both.
    """
    head = {
        "status": "failed" if "error" in content else "ok",
        "version": API_VERSION,
        "type": NAME,
        "serverVersion": server_version(),
        "openSubsonic": True,
    }
    inner = {**head, **content}
    if form == "json":
        body = json.dumps({"subsonic-response": _without_none(inner)}, ensure_ascii=False, allow_nan=False)
        return Response(body.encode("utf-8", "replace"), media_type="application/json")
    root = ElementTree.Element("subsonic-response", xmlns="http://subsonic.org/restapi")
    _fill(root, inner)
    return Response(ElementTree.tostring(root, "utf-8", xml_declaration=True), media_type="application/xml")


def failure(form: str, error: SubsonicError) -> Response:
    """Wrap an error up."""
    return envelope(form, {"error": {"code": error.code, "message": error.message}})


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(each) for key, each in value.items() if each is not None}
    return [_without_none(each) for each in value] if isinstance(value, list) else value


def _fill(element: ElementTree.Element, content: dict[str, Any]) -> None:
    for name, value in content.items():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict):
                _fill(ElementTree.SubElement(element, name), each)
            elif isinstance(value, list):
                ElementTree.SubElement(element, name).text = _text(each)
            elif each is not None:
                element.set(name, _text(each))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _NOT_IN_XML.sub("", str(value))
