# etalage_test(datasets/..._test.cpp)
