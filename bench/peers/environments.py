# SPDX-License-Identifier: Apache-2.0
"""One environment a peer: RecTools' fork overwrites implicit, lenskit wants another NumPy, buffalo pins 1.26."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PEERS = {
    "buffalo": ["buffalo==2.0.6", "setuptools"],
    "cmfrec": ["cmfrec==3.5.1.post13", "threadpoolctl", "findblas", "numpy<2.3", "scipy<1.16", "pandas<3"],
    "implicit": ["implicit==0.7.3", "numpy<2.3", "scipy<1.16"],
    "irspack": ["irspack==0.5.2", "numpy<2.3", "scipy<1.16", "pandas<3"],
    "faiss": ["faiss-cpu", "numpy<2.3"],
    "hnswlib": ["hnswlib==0.8.0", "numpy<2.3", "setuptools"],
    "usearch": ["usearch", "numpy<2.3"],
    "openblas": ["numpy"],
    "rusket": ["rusket==0.1.101", "polars==2.1.0", "pyarrow==26.0.1", "numpy<3", "scipy", "pandas", "mlxtend==0.25.0"],
    "scann": ["scann==1.4.2"],
    "scipy": ["numpy", "scipy"],
    "voyager": ["voyager", "numpy<2.3"],
    "ranx": ["ranx"],
    "rectools": ["rectools"],
}


def python_of(peer: str, root: Path) -> str:
    """Interpreter of the peer's environment, made on first use; raises with pip's last lines when that fails."""
    home = root / peer
    python = home / "bin" / "python"
    done = home / "installed.txt"
    wanted = "\n".join(PEERS[peer])
    if not done.exists() or done.read_text() != wanted:
        print(f"installing {peer}: {' '.join(PEERS[peer])}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        result = subprocess.run([str(python), "-m", "pip", "install", "-q", *PEERS[peer]], capture_output=True, text=True)
        if result.returncode != 0:
            raise RuntimeError(f"{peer} does not install here: {' '.join(result.stderr.split()[-30:])}")
        done.write_text(wanted)
    return str(python)
