target_sources(etalage PRIVATE
  src/datasets/synthetic_catalog.cpp
  src/datasets/synthetic_shopper.cpp
  src/datasets/synthetic_store.cpp)
# The store is the same bits on every machine: no fused multiply-add where the source has two steps.
set_source_files_properties(
  src/datasets/synthetic_catalog.cpp src/datasets/synthetic_shopper.cpp src/datasets/synthetic_store.cpp
  PROPERTIES COMPILE_OPTIONS -ffp-contract=off)
