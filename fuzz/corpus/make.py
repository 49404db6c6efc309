#!/usr/bin/env python3
"""Makes the corpus from the recorded frames, the scenario files and a few hand-written inputs.

Run it in the project's top folder: python3 fuzz/corpus/make.py. Files are named after their content, so a second run changes nothing.
"""
import hashlib, json, pathlib, zlib

HOME = pathlib.Path("fuzz/corpus")
LONGEST = 4096


def keep(target, data):
    if isinstance(data, str):
        data = data.encode()
    if len(data) > LONGEST:
        return
    folder = HOME / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)


def goldens():
    for file in sorted(pathlib.Path("remoting/tests/data").glob("*.jsonl")):
        for line in file.read_text().splitlines():
            golden = json.loads(line)
            for side in ("request", "response"):
                if golden.get(side):
                    yield bytes.fromhex(golden[side])


def cut(frame):
    word = int.from_bytes(frame[4:8], "big")
    size = word & 0xFFFFFF
    return word >> 24, frame[8 : 8 + size], frame[8 + size :]


def from_golden(golden):
    """A golden is one frame, several, or a body alone."""
    keep("frame", golden)
    while len(golden) >= 8 and 4 + int.from_bytes(golden[:4], "big") <= len(golden) and golden[4] < 2:
        size = 4 + int.from_bytes(golden[:4], "big")
        from_frame(golden[:size])
        golden = golden[size:]
    from_body(golden, {})


def from_frame(frame):
    form, header, body = cut(frame)
    keep("header_rocketmq" if form else "header_json", header)
    ext = {}
    if not form:
        try:
            ext = json.loads(header).get("extFields") or {}
        except ValueError:
            return  # one of the recorded mistakes
        texts = [text for pair in ext.items() for text in pair]
        if texts:
            keep("ext_fields", b"\xff".join(text.encode() for text in texts))
        for text in ext.values():
            if "\x01" in text:
                keep("properties", text)
            if len(text) in (32, 56):
                keep("ids", text)
    from_body(body, ext)


def from_body(body, ext):
    if ext.get("compressed") == "true":
        keep("registration", b"\x01" + body)
    if ext.get("batch") == "true" or ext.get("m") == "true":
        keep("batch", body)
    if body[:1] == b"{":
        for name, target in (("brokerDatas", "route"), ("topicConfigTable", "registration"), ("", "bodies")):
            if name.encode() in body:
                keep(target, b"\x00" + body if target == "registration" else body)
    if body[4:8] in (bytes.fromhex("daa320a7"), bytes.fromhex("daa320ab")):
        keep("record", body)


def by_hand():
    keep("frame", bytes.fromhex("0000000400000000"))
    keep("frame", bytes.fromhex("00fffffc") + b"\x00\x00\x00\x02{}")
    keep("header_json", '{"code":"17","opaque":null,"flag":1,"remark":"\\ud83d\\ude00","x":{"y":[{}]},"extFields":{"queueId":0,"a":true}}')
    keep("route", '{"brokerDatas":[{"brokerAddrs":{-1:"h:1",0:"h:2"},"brokerName":"a","cluster":"c"}],'
         '"queueDatas":[{"brokerName":"a","perm":6,"readQueueNums":"4","topicSynFlag":0,"writeQueueNums":4}],"orderTopicConf":"a:4;b:2"}')
    topic = b"orders 4 4 6 SINGLE_TAG {}"
    part = lambda data: len(data).to_bytes(4, "big") + data
    plain = part(b'{"counter":1,"stateVersion":0,"timestamp":1}') + b"\0\0\0\1" + part(topic) + part(b"[]") + b"\0\0\0\0"
    keep("registration", b"\x01" + zlib.compress(plain))
    item = lambda body, props: (22 + len(body) + len(props)).to_bytes(4, "big") + bytes(12) + len(body).to_bytes(4, "big") + body + len(props).to_bytes(2, "big") + props
    keep("batch", item(b"one", b"KEYS\x01k\x02") + item(b"", b""))
    keep("properties", "a\x01b\x01c\x02d\x01e")
    keep("ids", bytes(range(35)))
    keep("ids", b"\x01" + bytes(34))
    keep("bodies", '{"clientID":"1@2","consumerDataSet":null,"producerDataSet":[{"groupName":"g"}]}')
    keep("bodies", '{"brokerAddrTable":{"a":{"brokerAddrs":{0:"h:1"},"brokerName":"a"}},"clusterAddrTable":{"c":["a"]}}')
    sweep = '{"format":1,"sweep":"generated","seeds":[0,40]}\n'
    found = '{"runs":20,"classes":{"pass":19,"violation":1},"failed_by":{"INV-08":1},"failures":[{"seed":3,"class":"violation","by":"INV-08","reason":"late"}],"exercised":{"INV-01":20},"ok":1,"failed":1,"attempts":3,"digest":"00ff"}'
    keep("sweep_file", sweep)
    keep("sweep_file", sweep + '{"from":0,"to":20,"found":%s}\n{"from":20,"to":40,"found":%s}\n' % (found, found))


for golden in goldens():
    from_golden(golden)
by_hand()
for file in sorted(pathlib.Path("scenarios").glob("*.toml")):
    keep("scenario", file.read_text())
