#!/usr/bin/python3
"""A receiver of screening events that misses none: it keeps them in SQLite, tells the gates what it holds, and asks for
what it lacks. Needs paho (Debian: python3-paho-mqtt).

    deploy/receiver.py --name archive events.db
"""
import argparse
import json
import os
import sqlite3
import sys
import time

import paho.mqtt.client as mqtt

TABLES = """
CREATE TABLE IF NOT EXISTS events (id TEXT PRIMARY KEY, source TEXT NOT NULL, time TEXT NOT NULL, body TEXT NOT NULL);
-- What is held of each gate's journal, as runs of sequence numbers; gone is what the gate itself does not hold any more.
CREATE TABLE IF NOT EXISTS runs (gate TEXT, journal TEXT, first INTEGER, last INTEGER, PRIMARY KEY (gate, journal, first));
CREATE TABLE IF NOT EXISTS gone (gate TEXT, journal TEXT, first INTEGER, last INTEGER);
"""
PATIENCE = 5  # seconds before what is missing is asked for: it may still be on its way
ASK_AGAIN = 30  # seconds; a connection that breaks forgets what was asked
MOST = 16  # runs asked for at once


class Receiver:
    def __init__(self, path, name):
        self.name = name
        self.db = sqlite3.connect(path)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")  # what is said to be stored is on disk
        self.db.executescript(TABLES)
        self.tails = {}  # by gate: the journal that it has now, and its newest sequence
        self.late = {}  # by gate: when an event came late or again; as long as they do, more are on their way
        self.noticed = {}  # by gate, journal and first sequence: since when a run is missing
        self.asked = {}  # by gate: when
        self.said = {}  # by gate: what was said to be stored

    def hold(self, gate, journal, first, last):
        """Adds a run of sequences to what is held, and joins it with those that it touches."""
        touching = self.db.execute(
            "SELECT first, last FROM runs WHERE gate = ? AND journal = ? AND first <= ? AND last >= ?",
            (gate, journal, last + 1, first - 1)).fetchall()
        for run in touching:
            self.db.execute("DELETE FROM runs WHERE gate = ? AND journal = ? AND first = ?", (gate, journal, run[0]))
            first, last = min(first, run[0]), max(last, run[1])
        self.db.execute("INSERT INTO runs VALUES (?, ?, ?, ?)", (gate, journal, first, last))

    def runs(self, gate, journal):
        return self.db.execute("SELECT first, last FROM runs WHERE gate = ? AND journal = ? ORDER BY first",
                               (gate, journal)).fetchall()

    def through(self, gate, journal):
        """The sequence up to which everything is held."""
        runs = self.runs(gate, journal)
        return runs[0][1] if runs and runs[0][0] == 1 else 0

    def missing(self, gate, journal, tail):
        """The runs that are not held, up to tail."""
        at = 0
        for first, last in self.runs(gate, journal):
            if first > at + 1:
                yield at + 1, first - 1
            at = last
        if at < tail:
            yield at + 1, tail

    def on_event(self, gate, payload):
        event = json.loads(payload)
        self.db.execute("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?)",
                        (event["id"], event["source"], event["time"], payload.decode()))
        if "sequence" in event:
            journal, sequence = event["journal"], int(event["sequence"])
            self.hold(gate, journal, sequence, sequence)
            known, tail = self.tails.get(gate, (journal, 0))
            if journal == known:
                self.tails[gate] = (journal, max(tail, sequence))
        self.db.commit()
        if event["data"].get("historical"):
            self.late[gate] = time.monotonic()

    def on_status(self, gate, payload):
        status = json.loads(payload)
        if "journal" in status:
            known, tail = self.tails.get(gate, ("", 0))
            sequence = int(status.get("sequence", 0))
            self.tails[gate] = (status["journal"], max(tail, sequence) if status["journal"] == known else sequence)

    def on_resent(self, gate, payload):
        resent = json.loads(payload)
        for run in resent["missing"]:  # the gate does not hold it any more: nobody can get it
            print("lost for good:", gate, resent["journal"], run, file=sys.stderr)
            self.db.execute("INSERT INTO gone VALUES (?, ?, ?, ?)", (gate, resent["journal"], run["from"], run["to"]))
            self.hold(gate, resent["journal"], run["from"], run["to"])
        self.db.commit()

    def receive(self, client, userdata, message):
        _, site, name, kind = message.topic.split("/")[:4]
        handle = {"screening": self.on_event, "status": self.on_status, "resent": self.on_resent}[kind]
        try:
            if message.payload and not (message.retain and kind == "screening"):  # which no gate leaves there
                handle(f"{site}/{name}", message.payload)
        except (ValueError, KeyError, TypeError, OverflowError) as error:  # not of a gate
            self.db.rollback()
            print("passed over:", message.topic, repr(error), file=sys.stderr)

    def tell(self, client):
        """Says to every gate what is stored, and asks for what is missing."""
        now = time.monotonic()
        for gate, (journal, tail) in self.tails.items():
            word = (journal, self.through(gate, journal))
            if self.said.get(gate) != word:
                self.said[gate] = word
                client.publish(f"thermogate/{gate}/stored", json.dumps(
                    {"journal": word[0], "through": word[1], "by": self.name}), qos=1, retain=True)
            missing = list(self.missing(gate, journal, tail))
            self.noticed = {key: at for key, at in self.noticed.items() if key[0] != gate} | {
                (gate, journal, first): self.noticed.get((gate, journal, first), now) for first, _ in missing}
            due = [run for run in missing if now - self.noticed[gate, journal, run[0]] >= PATIENCE]
            if not due or now - self.late.get(gate, -PATIENCE) < PATIENCE or now - self.asked.get(gate, -ASK_AGAIN) < ASK_AGAIN:
                continue
            self.asked[gate] = now
            for first, last in due[:MOST]:
                client.publish(f"thermogate/{gate}/command/resend", json.dumps(
                    {"journal": journal, "from": first, "to": last}), qos=1)

    def connected(self, client, userdata, flags, code, *_):
        if code != 0:
            print("the broker refuses the connection:", code, file=sys.stderr)
            return
        client.subscribe([(f"thermogate/+/+/{rest}", 1) for rest in ("screening/+", "status", "resent")])
        self.said.clear()  # the broker may have lost it
        self.asked.clear()


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--broker", default="127.0.0.1:1883", help="HOST:PORT")
    options.add_argument("--name", default="archive", help="what gates know this receiver by, and the broker, too")
    options.add_argument("--user", help="its password is in the environment, MQTT_PASSWORD")
    options.add_argument("--ca-file", help="certificate authority of a broker with TLS")
    options.add_argument("database")
    args = options.parse_args()
    host, _, port = args.broker.rpartition(":")
    receiver = Receiver(args.database, args.name)
    version = [mqtt.CallbackAPIVersion.VERSION2] if hasattr(mqtt, "CallbackAPIVersion") else []  # paho 2 and 1
    # A kept session: the broker holds what comes while this is away.
    client = mqtt.Client(*version, client_id="receiver-" + args.name, clean_session=False)
    client.on_connect, client.on_message = receiver.connected, receiver.receive
    if args.user:
        client.username_pw_set(args.user, os.environ["MQTT_PASSWORD"])
    if args.ca_file:
        client.tls_set(args.ca_file)
    client.reconnect_delay_set(1, 10)
    told = 0
    while True:
        try:
            client.connect(host, int(port), keepalive=15)
            while client.loop(timeout=0.5) == mqtt.MQTT_ERR_SUCCESS:
                if time.monotonic() - told >= 1:
                    told = time.monotonic()
                    receiver.tell(client)
        except OSError as error:
            print("no connection:", error, file=sys.stderr)
        time.sleep(1)


if __name__ == "__main__":
    main()
