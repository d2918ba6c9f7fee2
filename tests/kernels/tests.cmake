# etalage_test(kernels/..._test.cpp)
