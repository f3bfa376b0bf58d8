"""Sends a few events of every kind with the unmodified Python tracker; prints how many.

usage: python_tracker.py HOST PORT post|get
"""

import sys

from snowplow_tracker import (
    Emitter,
    EmitterConfiguration,
    PagePing,
    PageView,
    ScreenView,
    SelfDescribing,
    SelfDescribingJson,
    StructuredEvent,
    Subject,
    Tracker,
)

host, port, method = sys.argv[1], int(sys.argv[2]), sys.argv[3]
failed = []
emitter = Emitter(
    host,
    protocol="http",
    port=port,
    method=method,
    batch_size=7 if method == "post" else 1,
    on_failure=lambda count, events: failed.append(count),
)
subject = Subject().set_user_id("grüße").set_platform("srv").set_lang("de").set_screen_resolution(1920, 1080)
tracker = Tracker(namespace="py", emitters=emitter, subject=subject, app_id=f"python-{method}")
web_page = SelfDescribingJson(
    "iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0", {"id": "8b1ad7b5-4c53-4f8e-9d34-6f2f3b0d6f01"}
)
count = 0
for i in range(8):
    tracker.track(PageView(page_url=f"https://shop.example/a b/{i}?q=ü", page_title="Straße", context=[web_page]))
    tracker.track(PagePing(page_url=f"https://shop.example/{i}", min_x=0, max_x=5, min_y=1, max_y=900))
    tracker.track(StructuredEvent(category="shop", action="add", label="x", property_="y", value=1.25 + i))
    tracker.track(
        SelfDescribing(
            SelfDescribingJson(
                "iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1",
                {"targetUrl": f"https://shop.example/target/{i}"},
            )
        )
    )
    count += 4
tracker.flush()
if failed:
    sys.exit(f"requests failed: {failed}")
print(count)
