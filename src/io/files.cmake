target_sources(etalage PRIVATE
  src/io/atomic_file.cpp
  src/io/buffer.cpp
  src/io/checksum.cpp
  src/io/cold_start_files.cpp
  src/io/csv.cpp
  src/io/csv_bytes.cpp
  src/io/csv_parser.cpp
  src/io/engine_files.cpp
  src/io/experiment_files.cpp
  src/io/format.cpp
  src/io/index_files.cpp
  src/io/profile_files.cpp
  src/io/registry.cpp
  src/io/serialization.cpp
  src/io/state_file.cpp
  src/io/state_writer.cpp
  src/io/structure.cpp)
