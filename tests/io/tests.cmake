# etalage_test(io/..._test.cpp)
