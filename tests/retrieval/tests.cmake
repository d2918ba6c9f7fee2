# etalage_test(retrieval/..._test.cpp)
