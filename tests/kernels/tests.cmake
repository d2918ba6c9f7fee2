# etalage_test(kernels/..._test.cpp)
etalage_test(kernels/als_kernels_test.cpp)
