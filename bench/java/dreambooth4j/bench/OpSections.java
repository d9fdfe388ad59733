package dreambooth4j.bench;

import static dreambooth4j.bench.Section.origin;
import static dreambooth4j.bench.Section.percent;
import static dreambooth4j.bench.Section.shown;

import dreambooth4j.bench.Charts.Line;
import dreambooth4j.bench.Results.Measured;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Single ops: under the roof of the machine that they ran on, and one library against another. */
final class OpSections {
  private OpSections() {}

  /** An op one way: operations and bytes of one run, and what the roof allows them. */
  private record Speed(Measured measured, double gflops, double gigabytes, double share) {
    static Speed of(Measured measured) {
      double gflops = measured.secondary("gflops");
      double gigabytes = measured.secondary("gigabytes");
      Roofline roof = Roofline.of(measured.facts().json().get("roofline"));
      double bytes = gigabytes * 1e9 / measured.score();
      double share =
          gflops > 0
              ? gflops / roof.at(gflops / gigabytes, bytes)
              : gigabytes / roof.gigabytes(bytes);
      return new Speed(measured, gflops, gigabytes, share);
    }

    double megabytes() {
      return gigabytes * 1e3 / measured.score();
    }

    double milliseconds() {
      return 1e3 / measured.score();
    }

    String opFamily() {
      return measured.param("op").replaceAll(" .*", "");
    }
  }

  /** Arithmetic by operations a byte and memory by bytes, there and there and back; logarithmic. */
  static Section roofline(Charts charts, List<Measured> ops) throws IOException {
    Map<String, List<Speed>> byOp = new TreeMap<>();
    Map<String, String> pictures = new LinkedHashMap<>();
    List<Speed> speeds = ops.stream().map(Speed::of).toList();
    for (Speed each : speeds) {
      String op = each.measured.param("op") + " at " + each.measured.param("side") + " px";
      byOp.computeIfAbsent(op, key -> new ArrayList<>()).add(each);
    }
    Roofline roof = Roofline.of(ops.get(0).facts().json().get("roofline"));
    for (String way : List.of("forward", "forwardBackward")) {
      String words = way.equals("forward") ? "forward" : "forward and backward";
      List<Speed> its = speeds.stream().filter(each -> each.measured.method().equals(way)).toList();
      List<Line> arithmetic = lines(its, true);
      if (!arithmetic.isEmpty()) {
        pictures.put(
            charts.underARoof(
                "roofline-" + way,
                "Ops that multiply matrices under the roof, " + words,
                "floating-point operations a byte",
                "GFLOP/s",
                arithmetic,
                arithmetic(roof)),
            "Roofline: GFLOP/s by operations a byte, " + words);
      }
      List<Line> memory = lines(its, false);
      if (!memory.isEmpty()) {
        pictures.put(
            charts.underARoof(
                "bandwidth-" + way,
                "Ops that move memory under the roof, " + words,
                "MB read and written by one run, each tensor once",
                "GB/s",
                memory,
                memory(roof)),
            "Bandwidth: GB/s by bytes moved, " + words);
      }
    }
    List<List<String>> rows = new ArrayList<>();
    byOp.forEach((op, its) -> rows.add(row(op, its)));
    return new Section(
        "Ops under the roof",
        """
        Stable Diffusion 1.5's ops, F32. The roof is measured in the same run: %s GFLOP/s is the \
        best of convolutions and matrix products, memory the best of copies and sums of as many \
        bytes: %s GB/s of main memory, more where caches hold them. A share is that of the lower \
        of both roofs; Winograd's convolutions, counted as plain ones, can pass it. Inputs stay in a cache from one run to the next where they fit. Times are \
        medians; ± is half of what lies between the fastest and the slowest iteration."""
            .formatted(shown(roof.gflops()), shown(roof.mainMemory())),
        pictures,
        List.of(
            "op",
            "forward, ms",
            "±",
            "GFLOP/s",
            "GB/s",
            "share of the roof",
            "with backward, ms",
            "±",
            "GFLOP/s",
            "GB/s",
            "share of the roof",
            "commit, day"),
        rows);
  }

  /** A line for each family of ops that has operations to count, or none. */
  private static List<Line> lines(List<Speed> speeds, boolean counted) {
    Map<String, Line> lines = new TreeMap<>();
    for (Speed each : speeds) {
      if (each.gflops > 0 == counted) {
        Line line =
            lines.computeIfAbsent(
                each.opFamily(), key -> new Line(key, new ArrayList<>(), new ArrayList<>(), null));
        line.x().add(counted ? each.gflops / each.gigabytes : each.megabytes());
        line.y().add(counted ? each.gflops : each.gigabytes);
      }
    }
    return List.copyOf(lines.values());
  }

  private static Line arithmetic(Roofline roof) {
    List<Double> x = List.of(1.0, roof.gflops() / roof.mainMemory(), 10_000.0);
    return new Line(
        "roof (main memory)",
        x,
        x.stream().map(each -> Math.min(roof.gflops(), each * roof.mainMemory())).toList(),
        null);
  }

  private static Line memory(Roofline roof) {
    List<Double> x = roof.memory().stream().map(each -> each.bytes() / 1e6).toList();
    return new Line(
        "roof (copies, sums)",
        x,
        x.stream().map(each -> roof.gigabytes(each * 1e6)).toList(),
        null);
  }

  private static List<String> row(String op, List<Speed> speeds) {
    List<String> row = new ArrayList<>(List.of(op));
    for (String way : List.of("forward", "forwardBackward")) {
      Speed speed =
          speeds.stream()
              .filter(each -> each.measured.method().equals(way))
              .findFirst()
              .orElse(null);
      if (speed == null) {
        row.addAll(List.of("-", "-", "-", "-", "-"));
      } else {
        row.add(shown(speed.milliseconds()));
        row.add(percent(speed.measured.spread()));
        row.add(speed.gflops > 0 ? shown(speed.gflops) : "-");
        row.add(shown(speed.gigabytes));
        row.add(percent(speed.share));
      }
    }
    row.add(origin(speeds.get(0).measured.facts()));
    return row;
  }

  /** What {@link Rates} measured of a device's kernels and libraries. */
  static Section rates(List<Measured> rates) {
    List<List<String>> rows = new ArrayList<>();
    for (Measured each : rates) {
      Speed speed = Speed.of(each);
      rows.add(
          List.of(
              each.facts().name(),
              each.param("op"),
              each.method(),
              shown(1e3 * speed.milliseconds()),
              percent(each.spread()),
              speed.gflops > 0 ? shown(speed.gflops) : "-",
              shown(speed.gigabytes),
              percent(speed.share),
              origin(each.facts())));
    }
    return new Section(
        "Rates on the device",
        "Device time alone, over tensors that no cache holds. A share is that of the lower of both roofs.",
        Map.of(),
        List.of(
            "result",
            "op",
            "what",
            "µs",
            "±",
            "GFLOP/s",
            "GB/s",
            "share of the roof",
            "commit, day"),
        rows);
  }

  /** The three products of a linear layer by one library, times those by the other. */
  static Section linear(List<Measured> linear) {
    Map<String, Map<String, Measured>> byProduct = new TreeMap<>();
    for (Measured each : linear) {
      byProduct
          .computeIfAbsent(each.param("sizes") + " " + each.method(), product -> new TreeMap<>())
          .put(each.param("engine"), each);
    }
    List<List<String>> rows = new ArrayList<>();
    byProduct.forEach(
        (product, engines) -> {
          Measured blas = engines.get("blas");
          Measured convolution = engines.get("convolution");
          if (blas != null && convolution != null) {
            rows.add(
                List.of(
                    product,
                    shown(convolution.score() / blas.score()),
                    percent(Math.max(convolution.spread(), blas.spread())),
                    origin(blas.facts())));
          }
        });
    return new Section(
        "Linear layers",
        "How many times as fast oneDNN's 1×1 convolution is as the matrix product of the BLAS in use.",
        Map.of(),
        List.of("rows x columns in x columns out, product", "times as fast", "±", "commit, day"),
        rows);
  }
}
