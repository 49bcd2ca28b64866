"""A strict stand-in for the AMQP side of Azure Event Hubs.

It checks tokens on $cbs as the service does, takes events on the links to its
hubs, and misbehaves on command. Commands are JSON objects, one a line, on the
standard input; each is answered by {"event": "done"}. What happens is told the
same way on the standard output, before the peer can know of it.
"""

import argparse
import base64
import hashlib
import hmac
import json
import sys
import threading
import time
import urllib.parse

from proton import Condition, Delivery, Message, SSLDomain, Terminus, int32
from proton.handlers import MessagingHandler
from proton.reactor import ApplicationEvent, Container, EventInjector


# CREDIT is how many messages a peer may have under way on a link.
CREDIT = 100


def tell(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


class Broker(MessagingHandler):
    def __init__(self, options):
        super().__init__(prefetch=0, auto_accept=False)
        self.options = options
        self.authorized = {}  # connection -> audiences
        self.replies = {}  # connection -> reply address -> sender
        self.hub_links = {}  # connection -> link
        self.behaviour = {}
        self.injector = EventInjector()

    # Life.

    def on_start(self, event):
        container = event.container
        domain = None
        if self.options.certificate:
            domain = SSLDomain(SSLDomain.MODE_SERVER)
            domain.set_credentials(self.options.certificate, self.options.key, None)
        acceptor = container.listen("127.0.0.1:%d" % self.options.port, domain)
        container.selectable(self.injector)
        threading.Thread(target=self.read_commands, daemon=True).start()
        self.options.port = acceptor._selectable._delegate.getsockname()[1]
        tell("listening", port=self.options.port)

    def read_commands(self):
        for line in sys.stdin:
            self.injector.trigger(ApplicationEvent("command", subject=json.loads(line)))

    def on_command(self, event):
        command = event.subject
        if command["do"] == "behave":
            self.behaviour = command
        elif command["do"] == "detach":
            for link in self.hub_links.values():
                link.condition = Condition(command["condition"], command.get("description", ""))
                link.close()
            self.hub_links = {}
        elif command["do"] == "close":
            for connection in self.authorized:
                connection.condition = Condition(command["condition"], command.get("description", ""))
                connection.close()
            self.hub_links = {}
        tell("done")

    def on_connection_opening(self, event):
        self.authorized[event.connection] = set()
        self.replies[event.connection] = {}
        tell("open", hostname=event.connection.remote_hostname, mechanism=event.transport.sasl().mech,
             properties={str(k): str(v) for k, v in (event.connection.remote_properties or {}).items()})

    # Links.

    def on_link_opening(self, event):
        link, connection = event.link, event.connection
        link.snd_settle_mode, link.rcv_settle_mode = link.remote_snd_settle_mode, link.remote_rcv_settle_mode
        if link.is_sender:
            link.source.address = link.remote_source.address
            link.target.address = link.remote_target.address
            if link.remote_source.address == "$cbs":
                self.replies[connection][link.remote_target.address] = link
            return
        address = link.remote_target.address
        if address == "$cbs":
            link.target.address = address
            return link.flow(CREDIT)
        audience = self.audience(address)
        tell("attach", address=address, authorized=audience in self.authorized[connection])
        if self.options.hub != address:
            return self.refuse(link, "amqp:not-found", "The messaging entity '%s' could not be found." % audience)
        if audience not in self.authorized[connection]:
            return self.refuse(link, "amqp:unauthorized-access", "Unauthorized access. 'Send' claim(s) are required.")
        link.source.address = link.remote_source.address
        link.target.address = address
        link.max_message_size = self.options.max_message_size
        self.hub_links[connection] = link
        link.flow(CREDIT)

    @staticmethod
    def refuse(link, name, description):
        link.source.type = link.target.type = Terminus.UNSPECIFIED  # no terminus, as the service says it
        link.condition = Condition(name, description)

    def on_link_local_open(self, event):
        if event.link.condition:
            event.link.close()

    def on_transport_closed(self, event):
        for book in (self.hub_links, self.authorized, self.replies):
            book.pop(event.connection, None)
        tell("gone")

    # Messages.

    def on_message(self, event):
        event.link.flow(1)
        if event.link.target.address == "$cbs":
            return self.put_token(event)
        self.take(event)

    def put_token(self, event):
        message, connection = event.message, event.connection
        properties = message.properties
        kind, audience = properties["type"], properties["name"]
        status, said = self.judge(kind, audience, message.body)
        tell("token", type=kind, audience=audience, operation=properties["operation"], token=message.body,
             expiration=properties["expiration"], status=status, said=said)
        if status == 202:
            self.authorized[connection].add(audience)
        event.delivery.update(Delivery.ACCEPTED)
        event.delivery.settle()
        reply = Message(correlation_id=message.id, properties={"status-code": int32(status), "status-description": said})
        self.replies[connection][message.reply_to].send(reply)

    def judge(self, kind, audience, token):
        refusal = self.behaviour.get("refuse_token")
        if refusal:
            return refusal["status"], refusal["description"].replace("{token}", token)
        if not audience.startswith(self.audience("")):
            return 401, "InvalidAudience: the audience is for another host"
        if kind == "servicebus.windows.net:sastoken":
            return self.judge_signature(audience, token)
        if kind != "jwt" or token not in self.options.jwt:
            return 401, "InvalidToken: unknown"
        return 202, "Accepted"

    def judge_signature(self, audience, token):
        scheme, _, fields = token.partition(" ")
        fields = dict(field.split("=", 1) for field in fields.split("&"))
        if scheme != "SharedAccessSignature" or set(fields) != {"sr", "sig", "se", "skn"}:
            return 401, "MalformedToken"
        signed = "%s\n%s" % (fields["sr"], fields["se"])
        want = base64.b64encode(hmac.new(self.options.key_value.encode(), signed.encode(), hashlib.sha256).digest()).decode()
        resource = urllib.parse.unquote_plus(fields["sr"])
        if not audience.lower().startswith(resource.lower()):
            return 401, "InvalidAudience: signed for " + resource
        if fields["skn"] != self.options.key_name or urllib.parse.unquote_plus(fields["sig"]) != want:
            return 401, "InvalidSignature: The token has an invalid signature."
        if int(fields["se"]) < time.time():
            return 401, "ExpiredToken"
        return 202, "Accepted"

    def audience(self, path):
        scheme = "amqps" if self.options.certificate else "amqp"
        return "%s://127.0.0.1:%d/%s" % (scheme, self.options.port, path)

    def take(self, event):
        wish = self.behaviour.get("events") or {}
        if wish.get("ignore"):
            return tell("ignored")
        if wish.get("condition"):
            tell("rejected")
            event.delivery.local.condition = Condition(wish["condition"], wish.get("description", ""))
            event.delivery.update(Delivery.REJECTED)
            return event.delivery.settle()
        outer, inner = event.message, Message()
        inner.decode(bytes(outer.body))
        tell("message", body=bytes(inner.body).decode(), id=inner.id, content_type=str(inner.content_type).replace("None", ""),
             properties=inner.properties, annotations={str(k): v for k, v in (inner.annotations or {}).items()},
             envelope={str(k): v for k, v in (outer.annotations or {}).items()})
        if wish.get("detach_unsettled"):
            self.behaviour = {}
            link = event.link
            link.condition = Condition("amqp:link:detach-forced", "The link was detached by the test.")
            self.hub_links.pop(event.connection, None)
            return link.close()
        event.delivery.update(Delivery.ACCEPTED)
        event.delivery.settle()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--hub", default="flux-events")
    parser.add_argument("--key-name", default="RootManageSharedAccessKey")
    parser.add_argument("--key-value", default="")
    parser.add_argument("--jwt", action="append", default=[])
    parser.add_argument("--max-message-size", type=int, default=1 << 20)
    parser.add_argument("--certificate", default="")
    parser.add_argument("--key", default="")
    Container(Broker(parser.parse_args())).run()


if __name__ == "__main__":
    main()
