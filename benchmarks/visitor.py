"""A visitor without a browser: speaks to the server as a page does, draws nothing.

Twenty browsers on the machine of the server take its cores; twenty people bring their own. These stand for them: the
page is fetched, its document pulled, Start pressed, and what the server sends is read and counted.
The messages: https://docs.bokeh.org/en/latest/docs/dev_guide/server.html
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
"""The class of the line under the buttons, in the text that the server sends."""
MINUTES = 5
"""For how long an answer is waited for; a server that makes twenty pages at once answers late."""


class Visitor:
    """One session. `changes`: when the numbers of its run came anew, in seconds of the system's clock."""

    def __init__(self, connection: WebSocketClientConnection) -> None:
        self.changes: list[float] = []
        self._connection = connection
        self._answers: dict[str, asyncio.Future] = {}
        self._welcome = asyncio.Event()
        self._listener = asyncio.create_task(self._listen())
        self._sent = 0
        self._document: dict[str, Any] = {}

    @classmethod
    async def come(cls, address: str) -> Self:
        """Fetch the page at this address and let the server know that it is there.

        Raises ConnectionError where the page has no session.
        """
        patient = HTTPRequest(address, connect_timeout=60 * MINUTES, request_timeout=60 * MINUTES)
        page = (await AsyncHTTPClient().fetch(patient)).body.decode()
        token = TOKEN.search(page)
        if token is None:
            raise ConnectionError(f"{address} is no page of a Bokeh server: it has no token of a session")
        where, _, query = address.partition("?")
        request = HTTPRequest(f"{where}/ws?{query}".replace("http", "ws", 1), connect_timeout=60 * MINUTES)
        visitor = cls(await websocket_connect(request, subprotocols=["bokeh", token[1]]))
        await asyncio.wait_for(visitor._welcome.wait(), 60 * MINUTES)
        visitor._document = await visitor._ask("PULL-DOC-REQ")
        await visitor._happen("document_ready")
        return visitor

    async def press(self, label: str) -> None:
        """Press the button with this label."""
        models = _models(self._document)
        told = next(model["id"] for model in models if model["attributes"].get("label") == label)
        button = next(model for model in models if (model["attributes"].get("data") or {}).get("id") == told)
        values = [["model", {"id": button["id"]}], ["node", "click"], ["data", {"type": "map"}]]
        await self._happen("dom_event", {"entries": values})

    async def leave(self) -> None:
        """Close the session."""
        self._connection.close()
        await self._listener

    async def _happen(self, event: str, values: dict[str, Any] | None = None) -> None:
        data = {"type": "event", "name": event, "values": {"type": "map", **(values or {})}}
        await self._ask("PATCH-DOC", {"events": [{"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": data}]})

    async def _ask(self, kind: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer to a message. Raises TimeoutError where none comes."""
        self._sent += 1
        name = f"visitor{self._sent}"
        answer = self._answers[name] = asyncio.get_running_loop().create_future()
        for part in ({"msgid": name, "msgtype": kind}, {}, content or {}):
            await self._connection.write_message(json.dumps(part))
        return await asyncio.wait_for(answer, 60 * MINUTES)

    async def _listen(self) -> None:
        """Read messages, each a header, metadata, content, then pairs of buffers, until the connection ends."""
        try:
            while True:
                header, _, content = [json.loads(await self._part()) for _ in range(3)]
                for _ in range(2 * header.get("num_buffers", 0)):
                    await self._part()
                self._hear(header, content)
        except ConnectionError as error:
            for waiting in self._answers.values():
                waiting.set_exception(error)

    def _hear(self, header: dict[str, Any], content: dict[str, Any]) -> None:
        if header["msgtype"] == "ACK":
            self._welcome.set()
        if any(NUMBERS in str(event.get("new")) for event in content.get("events", [])):
            self.changes.append(time.time())
        if (asked := self._answers.pop(header.get("reqid"), None)) is not None:
            asked.set_result(content)

    async def _part(self) -> str | bytes:
        part = await self._connection.read_message()
        if part is None:
            raise ConnectionError("the session is at its end")
        return part


def _models(tree: Any) -> list[dict[str, Any]]:
    """All models in a part of a document."""
    if isinstance(tree, list):
        return [model for part in tree for model in _models(part)]
    if not isinstance(tree, dict):
        return []
    own = [tree] if "id" in tree and "attributes" in tree else []
    return own + [model for part in tree.values() for model in _models(part)]
