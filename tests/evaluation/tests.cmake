# etalage_test(evaluation/..._test.cpp)
