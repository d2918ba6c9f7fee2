// SPDX-License-Identifier: Apache-2.0
#include "io/csv_bytes.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "etalage/error.hpp"

namespace etalage::detail {
namespace {

class File {
 public:
  explicit File(const std::filesystem::path& path) : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0) fail("cannot open");
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { ::close(fd_); }

  [[nodiscard]] std::size_t expected_size() const {
    struct stat s {};
    if (::fstat(fd_, &s) != 0) fail("cannot read");
    if (S_ISDIR(s.st_mode)) {
      errno = EISDIR;
      fail("cannot read");
    }
    return S_ISREG(s.st_mode) && s.st_size > 0 ? static_cast<std::size_t>(s.st_size) : 0;
  }
  /// Up to n bytes, fewer only at the end.
  std::size_t read(char* to, std::size_t n) {
    std::size_t done = 0;
    while (done < n) {
      const ssize_t got = ::read(fd_, to + done, std::min<std::size_t>(n - done, std::size_t{1} << 30));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail("cannot read");
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    throw std::filesystem::filesystem_error(what, path_, std::error_code(errno, std::generic_category()));
  }
  const std::filesystem::path& path_;
  int fd_;
};

/// Bytes that arrive in pieces.
class Growing {
 public:
  char* room(std::size_t n) {
    if (used_ + n > data_.size()) {
      Array<char> larger(std::max(used_ + n, data_.size() + data_.size() / 2), uninitialized);
      if (used_ != 0) std::memcpy(larger.mutable_data(), data_.data(), used_);
      data_ = std::move(larger);
    }
    return data_.mutable_data() + used_;
  }
  void commit(std::size_t n) { used_ += n; }
  [[nodiscard]] Array<char> finish() && {
    if (used_ == 0) return {};
    const char* begin = data_.data();
    return Array<char>::wrap(begin, used_, std::make_shared<Array<char>>(std::move(data_)));
  }

 private:
  Array<char> data_;
  std::size_t used_ = 0;
};

constexpr std::size_t kPiece = std::size_t{1} << 20;

Array<char> read_all(File& file, Growing out) {
  const std::size_t size = file.expected_size();
  if (size != 0) out.commit(file.read(out.room(size), size));
  // Pipes have no size, and files may grow: read on until nothing comes.
  while (true) {
    const std::size_t got = file.read(out.room(kPiece), kPiece);
    if (got == 0) return std::move(out).finish();
    out.commit(got);
  }
}

class Inflater {
 public:
  Inflater() {
    if (::inflateInit2(&z_, 16 + MAX_WBITS) != Z_OK) throw std::bad_alloc();
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { ::inflateEnd(&z_); }
  z_stream& stream() noexcept { return z_; }

 private:
  z_stream z_{};
};

Array<char> unpack(File& file, const char* first, std::size_t first_size, const std::string& name) {
  Inflater inflater;
  z_stream& z = inflater.stream();
  Array<char> input(kPiece, uninitialized);
  char* in = input.mutable_data();
  std::memcpy(in, first, first_size);
  std::size_t have = first_size;
  std::size_t packed = 0;
  Growing out;
  bool at_member_start = false;  // after a member: the end of the file is an end here
  while (true) {
    have += file.read(in + have, kPiece - have);
    if (have == 0) {
      if (at_member_start) return std::move(out).finish();
      throw FormatError(name + ": found a gzip stream that ends after " + std::to_string(packed) + " bytes, expected its end mark (is the file truncated?)");
    }
    z.next_in = reinterpret_cast<Bytef*>(in);
    z.avail_in = static_cast<uInt>(have);
    while (z.avail_in != 0) {
      z.next_out = reinterpret_cast<Bytef*>(out.room(kPiece));
      z.avail_out = static_cast<uInt>(kPiece);
      const int code = ::inflate(&z, Z_NO_FLUSH);
      out.commit(kPiece - z.avail_out);
      at_member_start = code == Z_STREAM_END;
      if (code == Z_STREAM_END) ::inflateReset(&z);
      else if (code != Z_OK && !(code == Z_BUF_ERROR && z.avail_in == 0))
        throw FormatError(name + ": found damaged gzip data after " + std::to_string(packed + have - z.avail_in) + " bytes (" +
                          (z.msg != nullptr ? z.msg : "unexpected end") + "), expected a gzip stream");
    }
    // A full output buffer may hide bytes that inflate still holds.
    while (!at_member_start && z.avail_out == 0) {
      z.next_out = reinterpret_cast<Bytef*>(out.room(kPiece));
      z.avail_out = static_cast<uInt>(kPiece);
      const int code = ::inflate(&z, Z_NO_FLUSH);
      out.commit(kPiece - z.avail_out);
      at_member_start = code == Z_STREAM_END;
      if (code == Z_STREAM_END) ::inflateReset(&z);
      else if (code != Z_OK) break;
    }
    packed += have;
    have = 0;
  }
}

}  // namespace

Array<char> read_text(const std::filesystem::path& path) {
  File file(path);
  (void)file.expected_size();  // refuses a directory
  char first[2];
  const std::size_t n = file.read(first, 2);
  const bool gzip = n == 2 && static_cast<unsigned char>(first[0]) == 0x1f && static_cast<unsigned char>(first[1]) == 0x8b;
  Array<char> text;
  if (gzip) {
    text = unpack(file, first, n, path.string());
  } else {
    Growing out;
    std::memcpy(out.room(2), first, n);
    out.commit(n);
    text = read_all(file, std::move(out));
  }
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0; };
  if ((byte(0) == 0xff && byte(1) == 0xfe) || (byte(0) == 0xfe && byte(1) == 0xff))
    throw FormatError(path.string() + ": found UTF-16 text, expected UTF-8");
  const void* zero = text.empty() ? nullptr : std::memchr(text.data(), 0, std::min<std::size_t>(text.size(), 65536));
  if (zero != nullptr)
    throw FormatError(path.string() + ": found a zero byte at " + std::to_string(static_cast<const char*>(zero) - text.data()) +
                      ", expected a text file");
  return text;
}

}  // namespace etalage::detail
