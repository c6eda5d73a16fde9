"""Client without a browser that uses the Bokeh protocol like a page.

Twenty browsers on the machine of the server would take its cores, whereas users have their own. A client fetches the
page, pulls its document, clicks Start, and counts the updates sent by the server.
Protocol: https://docs.bokeh.org/en/latest/docs/dev_guide/server.html
"""

import asyncio
import json
import re
import time
from typing import Any, Self

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

TOKEN = re.compile(r'"token":\s*"([^"]+)"')
NUMBERS = "numbers&quot;"
"""CSS class of the run progress, escaped as in the messages of the server."""
TIMEOUT = 300.0
"""Seconds to wait for a response; a server that creates twenty pages at once is slow."""


class Visitor:
    """One session. changes: times of the updates of its run, in seconds of the system clock."""

    def __init__(self, connection: WebSocketClientConnection) -> None:
        self.changes: list[float] = []
        self._connection = connection
        self._responses: dict[str, asyncio.Future] = {}
        self._welcome = asyncio.Event()
        self._listener = asyncio.create_task(self._listen())
        self._sent = 0
        self._document: dict[str, Any] = {}

    @classmethod
    async def connect(cls, address: str) -> Self:
        """Fetch the page at a URL and open its session.

        Raises ConnectionError if the page has no session.
        """
        page_request = HTTPRequest(address, connect_timeout=TIMEOUT, request_timeout=TIMEOUT)
        page = (await AsyncHTTPClient().fetch(page_request)).body.decode()
        token = TOKEN.search(page)
        if token is None:
            raise ConnectionError(f"{address} is not a page of a Bokeh server: no session token")
        path, _, query = address.partition("?")
        request = HTTPRequest(f"{path}/ws?{query}".replace("http", "ws", 1), connect_timeout=TIMEOUT)
        visitor = cls(await websocket_connect(request, subprotocols=["bokeh", token[1]]))
        await asyncio.wait_for(visitor._welcome.wait(), TIMEOUT)
        visitor._document = await visitor._request("PULL-DOC-REQ")
        await visitor._send_event("document_ready")
        return visitor

    async def press(self, label: str) -> None:
        """Click the button with this label."""
        models = _models(self._document)
        widget = next(model["id"] for model in models if model["attributes"].get("label") == label)
        button = next(model for model in models if (model["attributes"].get("data") or {}).get("id") == widget)
        values = [["model", {"id": button["id"]}], ["node", "click"], ["data", {"type": "map"}]]
        await self._send_event("dom_event", {"entries": values})

    async def close(self) -> None:
        """Close the session."""
        self._connection.close()
        await self._listener

    async def _send_event(self, event: str, values: dict[str, Any] | None = None) -> None:
        data = {"type": "event", "name": event, "values": {"type": "map", **(values or {})}}
        await self._request(
            "PATCH-DOC", {"events": [{"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": data}]}
        )

    async def _request(self, kind: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a message and return the response. Raises TimeoutError without one."""
        self._sent += 1
        name = f"visitor{self._sent}"
        response = self._responses[name] = asyncio.get_running_loop().create_future()
        for part in ({"msgid": name, "msgtype": kind}, {}, content or {}):
            await self._connection.write_message(json.dumps(part))
        return await asyncio.wait_for(response, TIMEOUT)

    async def _listen(self) -> None:
        """Read messages (header, metadata, content, pairs of buffers) until the connection closes."""
        try:
            while True:
                header, _, content = [json.loads(await self._part()) for _ in range(3)]
                for _ in range(2 * header.get("num_buffers", 0)):
                    await self._part()
                self._handle(header, content)
        except ConnectionError as error:
            for response in self._responses.values():
                response.set_exception(error)

    def _handle(self, header: dict[str, Any], content: dict[str, Any]) -> None:
        if header["msgtype"] == "ACK":
            self._welcome.set()
        if any(NUMBERS in str(event.get("new")) for event in content.get("events", [])):
            self.changes.append(time.time())
        if (response := self._responses.pop(header.get("reqid"), None)) is not None:
            response.set_result(content)

    async def _part(self) -> str | bytes:
        part = await self._connection.read_message()
        if part is None:
            raise ConnectionError("the session has ended")
        return part


def _models(tree: Any) -> list[dict[str, Any]]:
    """All models in a subtree of a document."""
    if isinstance(tree, list):
        return [model for part in tree for model in _models(part)]
    if not isinstance(tree, dict):
        return []
    models = [tree] if "id" in tree and "attributes" in tree else []
    return models + [model for part in tree.values() for model in _models(part)]
