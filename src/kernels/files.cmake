target_sources(etalage PRIVATE
  src/kernels/dispatch.cpp
  src/kernels/exact_scan.cpp)

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
