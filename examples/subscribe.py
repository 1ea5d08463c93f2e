"""Subscribes to the counts of a job, and takes neither the job's word nor the brokers'.

    pip install confluent-kafka==2.12.2
    python3 subscribe.py --brokers localhost:9092 --job ads --once

Prints ad, minute, filter and clicks: each change once it is committed, or with --once the table
that all changes make. A commit becomes visible at once, but is read partition by partition: rows
are held until the ledger's line is there, and all the rows that it counts. Python 3.10 or newer.
"""
import argparse, hashlib, json, sys, uuid
from bisect import bisect, insort
from confluent_kafka import Consumer, KafkaError

LOGS = {  # what a digest covers, in this order, and how rows are sorted within an epoch
    "counts": lambda row: (row["ad_id"], row["minute"], row["filter"]),
    "ranks": lambda row: (row["filter"], row["window"], row["minute"]),
    "rejects": lambda row: (),  # as they come: they have one partition
}

class Job:
    def __init__(self):
        self.table = {}  # clicks of each (ad, minute, filter)
        self.held = {log: [] for log in LOGS}  # rows of no commit yet: epoch, place, line
        self.line = None  # the ledger's last
        self.waiting = []  # commits of which rows may be missing
        self.commits = 0  # how many were whole and right

    def take(self, log, line):
        value = json.loads(line)
        if log != "ledger":
            row = (value["epoch"].rstrip("Z"), LOGS[log](value), line)  # sorts as text
            return insort(self.held[log], row, key=lambda row: row[:2])
        before, self.line = self.line, line
        check((value["commit"] == 0) == (before is None), value, "the ledger begins with 0")
        if before:
            check(value["previous"] == sha256([before]), value, "previous is not the line before")
            kinds = ["clicks", "duplicates", "rejected", "skipped"]
            check(value["records"] == sum(value[kind] for kind in kinds), value, "totals differ")
            self.waiting.append(value)

    def changes(self):
        """Checks each commit that is whole, and yields the cells that it changes."""
        while self.waiting:
            commit, lines = self.waiting[0], {}
            for log, rows in self.held.items():
                found = bisect(rows, commit["epoch"].rstrip("Z"), key=lambda row: row[0])
                check(found <= commit[log], commit, f"{found} {log} are there, not {commit[log]}")
                if found < commit[log]: return  # the others are on their way
                lines[log] = [line for *_, line in rows[:found]]
            digest = sha256(line + b"\n" for log in LOGS for line in lines[log])
            check(commit["digest"] == digest, commit, "the digest is not that of its rows")
            for row in map(json.loads, lines["counts"]):
                cell = LOGS["counts"](row)
                check(self.table.get(cell, 0) == row["was"], commit, f"{cell} is not what it was")
                self.table[cell] = row["clicks"]
                yield cell
            self.held = {log: rows[len(lines[log]):] for log, rows in self.held.items()}
            self.waiting.pop(0)
            self.commits += 1

def sha256(parts):
    return hashlib.sha256(b"".join(parts)).hexdigest()

def check(right, commit, wrong):
    right or sys.exit(f"ledger: commit {commit['commit']} is wrong: {wrong}")

def main(args):
    config = {"bootstrap.servers": args.brokers, "isolation.level": "read_committed"}
    # A group of its own, without offsets: the table needs all rows, from the first.
    config |= {"group.id": f"subscribe-{uuid.uuid4()}", "enable.auto.commit": False}
    config |= {"auto.offset.reset": "earliest", "enable.partition.eof": True}
    consumer = Consumer(config | dict(pair.split("=", 1) for pair in args.X))
    consumer.list_topics(timeout=15)  # or no broker answers
    consumer.subscribe([f"{args.job}.{log}" for log in ["ledger", *LOGS]])
    job, ended, silent = Job(), False, 0
    while not (args.once and ended and not job.waiting):
        messages = consumer.consume(10_000, timeout=0.5)
        for message in messages:
            log, error = message.topic().rpartition(".")[2], message.error()
            if error and error.code() == KafkaError._PARTITION_EOF:
                ended |= log == "ledger"  # with --once, commits that come later do not matter
            elif error:
                sys.exit(f"{message.topic()}: {error}")
            elif log != "ledger" or not (args.once and ended):
                job.take(log, message.value())
        for cell in job.changes():
            args.once or print(*cell, job.table[cell], sep="\t", flush=True)
        silent = silent + 1 if args.once and ended and not messages else 0
        silent < 20 or check(False, job.waiting[0], "some of its rows cannot be read")
    for cell in sorted(job.table):
        print(*cell, job.table[cell], sep="\t")
    print(f"ledger: {job.commits} commits, chain and digests are right", file=sys.stderr)
if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Subscribes to the counts of a job.")
    parser.add_argument("--brokers", default="localhost:9092")
    parser.add_argument("--job", required=True)
    parser.add_argument("--once", action="store_true", help="stop at the end of the ledger")
    parser.add_argument("-X", action="append", default=[], metavar="KEY=VALUE")
    main(parser.parse_args())
