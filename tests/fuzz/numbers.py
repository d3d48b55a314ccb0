"""What the fuzzer's bytes say: choices and numbers, one by one; zeros when they run out."""


class Numbers:
    def __init__(self, data):
        self.data, self.at = data, 0

    def byte(self):
        self.at += 1
        return self.data[self.at - 1] if self.at <= len(self.data) else 0

    def below(self, count):
        return (self.byte() << 8 | self.byte()) % count if count > 256 else self.byte() % count

    def choice(self, options):
        return options[self.below(len(options))]

    def rest(self):
        rest, self.at = self.data[self.at :], len(self.data)
        return rest
