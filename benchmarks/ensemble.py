"""An ensemble that ends when the pipe to its stdin does, so that none outlives its benchmark.

`NAME ADDRESS PROOFS [--workers N]`: proofs are `token`, `none`, or the file of a bundle of keys.
"""

from __future__ import annotations

import sys
import threading

from ticktalk.ensemble import TTEnsemble


def main() -> None:
    name, address, proofs, *options = sys.argv[1:]
    ensemble = TTEnsemble(None, name)

    def end_with_parent() -> None:
        sys.stdin.read()
        ensemble.stop()

    threading.Thread(target=end_with_parent, daemon=True).start()
    ensemble.run_phy(
        address,
        workers=int(options[1]) if options else 1,
        token=b"" if proofs == "none" else None,
        credentials=proofs if proofs not in ("token", "none") else None,
    )


if __name__ == "__main__":
    main()
