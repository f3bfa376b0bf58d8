#!/usr/bin/env python3
"""The collector record by the Apache Thrift library of Python: an independent encoder and decoder.

Usage: thrift_check.py encode|decode, lines on standard input, one line out for each.
A record as JSON: field number -> base64 of the bytes; 200 is a number, 350 a list of base64.
  encode  JSON in, the Thrift bytes in base64 out
  decode  Thrift bytes in base64 in, JSON out
"""

import base64
import json
import sys

from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.Thrift import TType
from thrift.transport.TTransport import TMemoryBuffer

STRINGS = (100, 210, 220, 300, 310, 320, 330, 340, 360, 400, 410, 31337)


def spec():
    fields = [None] * 31338
    for number in STRINGS:
        fields[number] = (number, TType.STRING, "f%d" % number, "BINARY", None)
    fields[200] = (200, TType.I64, "f200", None, None)
    fields[350] = (350, TType.LIST, "f350", (TType.STRING, "BINARY", False), None)
    return tuple(fields)


class Record:
    """What the Thrift compiler would generate, as far as the library needs it."""

    thrift_spec = spec()

    def __init__(self, values=None):
        for field in self.thrift_spec:
            if field is not None:
                setattr(self, field[2], None)
        for number, value in (values or {}).items():
            if number == "200":
                setattr(self, "f200", value)
            elif number == "350":
                setattr(self, "f350", [base64.b64decode(item) for item in value])
            else:
                setattr(self, "f" + number, base64.b64decode(value))

    def to_json(self):
        out = {}
        for field in self.thrift_spec:
            value = getattr(self, field[2]) if field is not None else None
            if value is None:
                continue
            if isinstance(value, bytes):
                value = base64.b64encode(value).decode()
            elif isinstance(value, list):
                value = [base64.b64encode(item).decode() for item in value]
            out[str(field[0])] = value
        return json.dumps(out)


def encode(line):
    buffer = TMemoryBuffer()
    protocol = TBinaryProtocol(buffer)
    protocol.writeStruct(Record(json.loads(line)), Record.thrift_spec)
    return base64.b64encode(buffer.getvalue()).decode()


def decode(line):
    record = Record()
    protocol = TBinaryProtocol(TMemoryBuffer(base64.b64decode(line)))
    protocol.readStruct(record, Record.thrift_spec)
    return record.to_json()


def main():
    work = {"encode": encode, "decode": decode}[sys.argv[1]]
    for line in sys.stdin:
        print(work(line.strip()), flush=True)


if __name__ == "__main__":
    main()
