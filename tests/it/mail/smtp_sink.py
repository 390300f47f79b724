"""An SMTP server (aiosmtpd) that writes each message as a line of JSON to its standard output.

Its argument is a JSON object: "tls" is "starttls", "implicit" or "none"; "certificate" and "key" are files;
"username" and "password" are required of clients if present. Each line of its standard input is the reply
to one further message, such as "451 try again"; without one, messages are accepted. The reply to a message
whose line begins with "hold " is sent after the line "release".
"""

import asyncio
import collections
import json
import logging
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

settings = json.loads(sys.argv[1])
replies = collections.deque()
released = asyncio.Event()


def report(value):
    print(json.dumps(value), flush=True)


class Sink:
    async def handle_DATA(self, server, session, envelope):
        reply = replies.popleft() if replies else "250 accepted"
        is_held, reply = reply.startswith("hold "), reply.removeprefix("hold ")
        report(
            {
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "data": envelope.content.decode(),
                "reply": reply,
                "encrypted": session.ssl is not None or settings["tls"] == "implicit",
                "authenticated": bool(session.authenticated),
            }
        )
        if is_held:
            await released.wait()
            released.clear()
        return reply


def authenticate(server, session, envelope, mechanism, data):
    expected = (settings["username"].encode(), settings["password"].encode())
    # With handled=False, the server itself responds to a failure.
    return AuthResult(success=(data.login, data.password) == expected, handled=False)


def create_protocol(context):
    options = {"hostname": "localhost"}
    if settings["tls"] == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    if "username" in settings:
        options |= {"authenticator": authenticate, "auth_required": True, "auth_require_tls": settings["tls"] == "starttls"}
    return SMTP(Sink(), **options)


async def read_replies(loop):
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        if line.strip() == b"release":
            released.set()
        else:
            replies.append(line.decode().strip())
        report({"queued": len(replies)})
    loop.stop()


def main():
    logging.disable(logging.CRITICAL)
    context = None
    if settings["tls"] != "none":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings["certificate"], settings["key"])
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    implicit = context if settings["tls"] == "implicit" else None
    listening = loop.create_server(lambda: create_protocol(context), "127.0.0.1", 0, ssl=implicit)
    server = loop.run_until_complete(listening)
    report({"port": server.sockets[0].getsockname()[1]})
    reading = loop.create_task(read_replies(loop))
    loop.run_forever()
    reading.cancel()


main()
