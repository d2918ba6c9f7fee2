# etalage_test(models/..._test.cpp)
