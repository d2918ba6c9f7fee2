# SPDX-License-Identifier: Apache-2.0
"""Product matching by text: descriptions become vectors (TF-IDF, then SVD), an index finds the nearest ones.

python examples/04_online_retail_matching.py [transactions.parquet]

For a product it prints the most alike of all, and the most alike that cost at most a given price: the same index with a
filter. Needs scikit-learn and pandas with pyarrow. Without an argument it looks for the Online Retail file in $ETALAGE_DATA, else in
../shared/data beside the repository.
"""

import os
import sys
from pathlib import Path

import numpy as np

from etalage.retrieval import ItemFilter, ItemIndex

root = Path(os.environ.get("ETALAGE_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
path = Path(sys.argv[1]) if len(sys.argv) > 1 else root / "online-retail" / "online_retail.parquet"
if not path.exists():
    print(f"skipped: {path} is not there; give a file or set ETALAGE_DATA")
    sys.exit(0)
try:
    import pandas as pd
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
except ImportError as error:
    print(f"skipped: {error.name} is not installed (pip install scikit-learn pandas pyarrow)")
    sys.exit(0)

frame = pd.read_parquet(path)
names = {c.lower().replace(" ", "").replace("_", ""): c for c in frame.columns}
description, price = names["description"], names.get("unitprice") or names["price"]
frame = frame[frame[description].notna() & (frame[price] > 0)]
products = frame.groupby(frame[description].str.strip(), sort=True)[price].median()
texts, prices = products.index.tolist(), products.to_numpy()

tfidf = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2).fit_transform(texts)
vectors = TruncatedSVD(n_components=96, random_state=0).fit_transform(tfidf).astype(np.float32)

index = ItemIndex(vectors.shape[1], metric="cosine", kind="hnsw")
index.add(vectors, np.arange(len(texts)))
print(f"{len(texts)} products, {vectors.shape[1]} dimensions, {index.memory_bytes / 1e6:.1f} MB\n")

limit = 2.0
cheap = ItemFilter(allow=np.flatnonzero(prices <= limit))
wanted = ("WHITE HANGING HEART T-LIGHT HOLDER", "JUMBO BAG RED RETROSPOT", "REGENCY CAKESTAND 3 TIER")
for row in [texts.index(t) for t in wanted if t in texts] or range(3):
    print(f"{texts[row]} ({prices[row]:.2f})")
    for title, filter in (("most alike", None), (f"most alike for at most {limit:.2f}", cheap)):
        ids, scores = index.search(vectors[row], 4, allow=filter, deny=[row])
        print(f"  {title}")
        for i, s in zip(ids, scores):
            print(f"    {s:.3f}  {texts[i]} ({prices[i]:.2f})")
    print()
