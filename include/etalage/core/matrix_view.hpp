// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <type_traits>

namespace etalage {

/// Row-major view of rows x cols values whose rows lie `stride` elements apart. Owns nothing.
template <class T>
class MatrixView {
 public:
  MatrixView() = default;
  MatrixView(T* data, std::size_t rows, std::size_t cols) : MatrixView(data, rows, cols, cols) {}  ///< rows one right behind the other
  /// Rows that begin `stride` >= cols entries apart.
  MatrixView(T* data, std::size_t rows, std::size_t cols, std::size_t stride)
      : data_(data), rows_(rows), cols_(cols), stride_(stride) {}
  /// A view of mutable values reads as a view of const ones.
  operator MatrixView<const T>() const noexcept  // NOLINT: the same conversion as span's
    requires(!std::is_const_v<T>)
  {
    return {data_, rows_, cols_, stride_};
  }

  [[nodiscard]] T* data() const noexcept { return data_; }  ///< the first entry
  [[nodiscard]] std::size_t rows() const noexcept { return rows_; }  ///< how many
  [[nodiscard]] std::size_t cols() const noexcept { return cols_; }  ///< entries of a row
  [[nodiscard]] std::size_t stride() const noexcept { return stride_; }  ///< entries from a row's begin to the next one's
  [[nodiscard]] bool empty() const noexcept { return rows_ == 0 || cols_ == 0; }
  [[nodiscard]] std::span<T> row(std::size_t r) const noexcept { return {data_ + r * stride_, cols_}; }  ///< row r, below rows(); not checked
  [[nodiscard]] T& operator()(std::size_t r, std::size_t c) const noexcept { return data_[r * stride_ + c]; }  ///< entry c of row r; not checked

 private:
  T* data_ = nullptr;
  std::size_t rows_ = 0;
  std::size_t cols_ = 0;
  std::size_t stride_ = 0;
};

}  // namespace etalage
