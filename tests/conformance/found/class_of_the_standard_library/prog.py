from ticktalk import GRAPHify, SQify, STREAMify, TTConstraint


@STREAMify
def split(trigger):
    from urllib.parse import urlsplit

    return urlsplit("http://edge:80/x")


@SQify
def port(url):
    return [url.port, url.hostname]


@GRAPHify
def main(trigger):
    with TTConstraint(name="roof"):
        url = split(trigger, TTPeriod=100_000)
    with TTConstraint(name="cellar"):
        return port(url)
