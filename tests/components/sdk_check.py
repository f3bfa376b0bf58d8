#!/usr/bin/env python3
"""Enriched lines as Snowplow's analytics SDK for Python reads them.

Lines of 131 cells on standard input; for each one JSON object on standard output, or {"error": why}.
"""

import json
import sys

from snowplow_analytics_sdk.event_transformer import transform
from snowplow_analytics_sdk.snowplow_event_transformation_exception import SnowplowEventTransformationException


def main():
    for line in sys.stdin:
        try:
            print(json.dumps(transform(line.rstrip("\n"))), flush=True)
        except SnowplowEventTransformationException as e:
            print(json.dumps({"error": e.error_messages}), flush=True)


if __name__ == "__main__":
    main()
