target_sources(etalage PRIVATE src/kernels/dispatch.cpp)
