# etalage_test(core/..._test.cpp)
