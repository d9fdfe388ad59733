package dreambooth4j.cli;

import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import picocli.CommandLine;

/** Takes hyphens for underscores in the names of options, and the other way round. */
final class OptionNames {
  private OptionNames() {}

  /**
   * The arguments with every option as its command names it: {@code --max-train-steps} becomes
   * {@code --max_train_steps}, {@code --dry_run} becomes {@code --dry-run}. What is no option of
   * the command stays as it is.
   */
  static String[] normalized(CommandLine line, String... args) {
    int first = 0;
    while (first < args.length && !line.getSubcommands().containsKey(args[first])) {
      first++;
    }
    if (first == args.length) {
      return args;
    }
    CommandLine command = Objects.requireNonNull(line.getSubcommands().get(args[first]));
    Map<String, String> names = new HashMap<>();
    command
        .getCommandSpec()
        .optionsMap()
        .keySet()
        .forEach(name -> names.putIfAbsent(plain(name), name));
    String[] normalized = args.clone();
    for (int i = first + 1; i < args.length && !args[i].equals("--"); i++) {
      int equals = args[i].indexOf('=');
      String name = equals < 0 ? args[i] : args[i].substring(0, equals);
      String known = names.get(plain(name));
      boolean isKnown = command.getCommandSpec().optionsMap().containsKey(name);
      if (name.startsWith("--") && known != null && !isKnown) {
        normalized[i] = known + args[i].substring(name.length());
      }
    }
    return normalized;
  }

  private static String plain(String name) {
    return name.startsWith("--") ? "--" + name.substring(2).replace('_', '-') : name;
  }
}
