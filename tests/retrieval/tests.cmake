etalage_test(retrieval/item_index_test.cpp LABELS threaded)
etalage_test(retrieval/recall_test.cpp)
etalage_test(retrieval/concurrency_test.cpp LABELS threaded)
