target_sources(etalage PRIVATE src/kernels/code_tables.cpp src/kernels/dispatch.cpp)

# Distances, and exact top-k over rows.
target_sources(etalage PRIVATE src/kernels/dot_kernels_scalar.cpp src/kernels/scan_kernels_scalar.cpp)
etalage_kernels(dot_kernels.cpp scan_kernels.cpp)

# Alternating least squares.
target_sources(etalage PRIVATE src/kernels/als_kernels_scalar.cpp)
etalage_kernels(als_kernels.cpp)

# One query against chosen rows, for graph walks and re-scoring.
target_sources(etalage PRIVATE src/kernels/row_scores_scalar.cpp)
etalage_kernels(row_scores.cpp)

# Rows of sparse times dense products, for graph filters.
target_sources(etalage PRIVATE src/kernels/row_sums_scalar.cpp)
etalage_kernels(row_sums.cpp)

# Rows in eight bits: products of bytes.
target_sources(etalage PRIVATE src/kernels/code_kernels_scalar.cpp)
etalage_kernels(code_kernels.cpp)
if("avx512vnni" IN_LIST ETALAGE_SIMD_EXTRA_LEVELS)
  etalage_kernels_of(avx512vnni code_kernels.cpp)
endif()
# Dense tiles of closed-form models.
target_sources(etalage PRIVATE src/kernels/dense_kernels_scalar.cpp)
etalage_kernels(dense_kernels.cpp)
# Rows of similarities.
target_sources(etalage PRIVATE src/kernels/ratio_scan_scalar.cpp)
etalage_kernels(ratio_scan.cpp)

# Stochastic gradient descent on factor rows.
target_sources(etalage PRIVATE src/kernels/sgd_kernels_scalar.cpp)
etalage_kernels(sgd_kernels.cpp)

# Trees, eight rows at a time.
target_sources(etalage PRIVATE src/kernels/tree_masks_scalar.cpp)
etalage_kernels(tree_masks.cpp)
