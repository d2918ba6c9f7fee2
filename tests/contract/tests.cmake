# etalage_test(contract/..._test.cpp)
