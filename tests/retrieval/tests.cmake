etalage_test(retrieval/item_index_test.cpp)
etalage_test(retrieval/recall_test.cpp)
