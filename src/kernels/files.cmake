target_sources(etalage PRIVATE src/kernels/code_tables.cpp src/kernels/dispatch.cpp)

# Distances and exact top-k over rows; alternating least squares; one query against chosen rows; rows of sparse times dense
# products; rows in eight bits; dense tiles of closed-form models; rows of similarities; steps of stochastic gradient
# descent; rows split into records and what these leave out; trees, eight rows at a time.
foreach(family dot_kernels scan_kernels als_kernels row_scores row_sums code_kernels dense_kernels ratio_scan sgd_kernels split_rows tree_masks)
  target_sources(etalage PRIVATE src/kernels/${family}_scalar.cpp)
  etalage_kernels(${family}.cpp)
endforeach()
if("avx512vnni" IN_LIST ETALAGE_SIMD_EXTRA_LEVELS)
  etalage_kernels_of(avx512vnni code_kernels.cpp)
endif()
