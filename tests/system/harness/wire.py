"""What neighbouring brokers say to each other, byte by byte: messages (common/link/message.h) and blocks (common/record/block_format.h), also such as no
broker would write. Independent of the C code."""
import ctypes
import ctypes.util
import struct

HELLO, HELD, HELD_END, ATTACH, BLOCK, CLAIM, DISCARD, ACK, REFUSED, LATER, PING, PONG, PAYLOAD, REFUSE, RESET, RULES, WANT = range(1, 18)
HALF, RECEIPT, RECEIPT_SIGNED, HALF_TAKEN = 20, 21, 22, 23
URGENT, LIVE, BACKFILL = range(3)
READING, EVENT, COMMAND, REPORT, DESCRIPTOR, HEAD = range(6)

_xxhash = ctypes.CDLL(ctypes.util.find_library("xxhash"))
_xxhash.XXH3_64bits_withSeed.restype = ctypes.c_uint64
_zstd = ctypes.CDLL(ctypes.util.find_library("zstd"))
_zstd.ZSTD_decompress.restype = ctypes.c_size_t


def varint(number):
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7f | 0x80])
        number >>= 7
    return out + bytes([number])


def zigzag(number):
    return varint(number << 1 if number >= 0 else (-number << 1) - 1)


def sized(data):
    data = data.encode() if isinstance(data, str) else data
    return varint(len(data)) + data


def u64(number):
    return struct.pack("<Q", number)


def epoch_bytes(epoch):
    return u64(epoch[0]) + u64(epoch[1])


def ranges_bytes(ranges):
    out, before = varint(len(ranges)), 0
    for low, high in ranges:
        out += varint(low - before) + varint(high - low)
        before = high
    return out


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def left(self):
        return len(self.data) - self.at

    def take(self, count):
        self.at += count
        return self.data[self.at - count:self.at]

    def u8(self):
        return self.take(1)[0]

    def u64(self):
        return struct.unpack("<Q", self.take(8))[0]

    def varint(self):
        number = shift = 0
        while True:
            byte = self.u8()
            number |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return number

    def zigzag(self):
        number = self.varint()
        return number >> 1 ^ -(number & 1)

    def sized(self):
        return self.take(self.varint())


# -- blocks --------------------------------------------------------------------------------------------------------------

def grants(*entries):
    """The ONWARD item: (pattern, [nodes]) each."""
    return b"".join(sized(pattern) + varint(len(nodes)) + b"".join(map(sized, nodes)) for pattern, nodes in entries)


def block(stream, epoch, first, readings, received, hops=(), onward=b"", run=1):
    """Readings: (address, whole number), one sequence after the other, all with the time `received` (µs)."""
    addresses, records = list(dict.fromkeys(address for address, _ in readings)), b""
    for address, value in readings:
        records += bytes([0x02 | 0x20 | 0x80]) + varint(addresses.index(address)) + zigzag(value)
    before, table = stream.split("!")[0].encode(), varint(len(addresses))
    for address in (a.encode() for a in addresses):
        same = next((n for n, (a, b) in enumerate(zip(before, address)) if a != b), min(len(before), len(address)))
        table += varint(same) + sized(address[same:])
        before = address
    body = table + records
    items = b"".join(bytes([number]) + sized(value) for number, value in (
        (1, stream), (2, u64(run)), (3, varint(len(readings) - 1) + varint(len(readings)) + varint(len(body))), (4, zigzag(received) + varint(0) + zigzag(0) + varint(0))))
    items += b"".join(b"\x05" + sized(zigzag(received) + hop.encode()) for hop in hops)
    items += b"\x06" + sized(onward) if onward else b""
    return seal(struct.pack("<BBHI", 1, 0, 40 + len(items), 40 + len(items) + len(body)) + bytes(8) + epoch_bytes(epoch) + u64(first) + items + body)


def seal(data):
    """With the right checksum."""
    rest = data[16:]
    return data[:8] + u64(_xxhash.XXH3_64bits_withSeed(rest, ctypes.c_size_t(len(rest)), ctypes.c_uint64(struct.unpack("<Q", data[:8])[0]))) + rest


class Block:
    """One that came: stream, epoch, first, received (µs, of the first record), hops, addresses (all that it names)."""

    def __init__(self, data):
        _, flags, header, total = struct.unpack("<BBHI", data[:8])
        self.epoch, self.first = struct.unpack("<QQ", data[16:32]), struct.unpack("<Q", data[32:40])[0]
        reader, self.hops, self.onward = Reader(data[40:header]), [], b""
        while reader.left():
            number, value = reader.varint(), Reader(reader.sized())
            if number == 1:
                self.stream = value.data.decode()
            elif number == 3:
                self.last = self.first + value.varint()
                self.count, size = value.varint(), value.varint()
            elif number == 4:
                self.received = value.zigzag()
            elif number == 5:
                self.hops.append(value.data)
            elif number == 6:
                self.onward = value.data
        body = data[header:total]
        if flags & 1:
            out = ctypes.create_string_buffer(size)
            assert _zstd.ZSTD_decompress(out, ctypes.c_size_t(size), body, ctypes.c_size_t(len(body))) == size
            body = out.raw
        self._read(Reader(body))

    def _read(self, reader):
        before, self.addresses, self.records = self.stream.split("!")[0].encode(), [], []
        for _ in range(reader.varint()):
            before = before[:reader.varint()] + reader.sized()
            self.addresses.append(before.decode())
        sequence, last = self.first - 1, {}
        for _ in range(self.count):
            flags = reader.u8()
            kind = reader.u8() if flags & 16 else READING
            reader.take(1 if flags & 8 else 0)
            sequence += 1 + (reader.varint() if flags & 64 else 0)
            address = reader.varint()
            for bit in (128, 32):
                if not flags & bit:
                    reader.zigzag()
            self.records.append((kind, self.addresses[address], sequence, self._value(reader, flags & 7, last, address)))

    def readings(self):
        return sum(record[0] == READING for record in self.records)

    @staticmethod
    def _value(reader, worth, last, address):
        if worth == 1:
            return struct.unpack("<d", reader.take(8))[0]
        if worth == 2:
            return reader.zigzag()
        if worth in (5, 6):
            return reader.sized()
        if worth == 7:
            mantissa, exponent = last.get(address, (0, 2))
            step = reader.varint()
            if step & 1:
                exponent = reader.u8()
            mantissa += step >> 2 ^ -(step >> 1 & 1)
            last[address] = (mantissa, exponent)
            return mantissa / 10 ** exponent
        return {0: None, 3: False, 4: True}[worth]
