target_sources(etalage PRIVATE
  src/kernels/dispatch.cpp
  src/kernels/exact_scan.cpp)
