package dreambooth4j.cli;

import dreambooth4j.config.ForeignKeys;
import dreambooth4j.config.Key;
import dreambooth4j.config.Keys;
import dreambooth4j.config.KohyaKeys;
import dreambooth4j.config.ValueType;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import picocli.CommandLine.IModelTransformer;
import picocli.CommandLine.IParameterConsumer;
import picocli.CommandLine.Model.ArgGroupSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/**
 * Gives a command one flag for each key of the configuration, in groups, so that a diffusers
 * command line works as it is. Use it as the command's {@code modelTransformer}.
 */
public final class ConfigFlags implements IModelTransformer {
  private static final Pattern SWITCH_VALUE =
      Pattern.compile("(?i)true|false|auto|[-+]?[\\d.]+(e[-+]?\\d+)?");

  private static final Set<Key.Group> ALL = EnumSet.allOf(Key.Group.class);

  /** Commands that have use for all keys. */
  private static final Set<String> TRAINING = Set.of("train", "bake");

  /** What commands have use for that do not train; they take the other keys too. */
  private static final Set<Key.Group> OF_PICTURES =
      EnumSet.of(
          Key.Group.GENERAL,
          Key.Group.MODEL,
          Key.Group.DATA,
          Key.Group.PRIOR_LOSS,
          Key.Group.OUTPUT);

  @Override
  public CommandSpec transform(CommandSpec command) {
    Set<Key.Group> shown = TRAINING.contains(command.name()) ? ALL : OF_PICTURES;
    int order = 0;
    for (Key.Group heading : Key.Group.values()) {
      List<OptionSpec> options =
          Keys.all().stream()
              .filter(key -> key.group() == heading)
              .map(key -> option(key, !shown.contains(heading)))
              .toList();
      if (shown.contains(heading)) {
        ArgGroupSpec.Builder group =
            ArgGroupSpec.builder().heading("%n" + heading.heading() + ":%n").order(order++);
        options.forEach(group::addArg);
        command.addArgGroup(group.validate(false).build());
      } else {
        options.forEach(command::addOption);
      }
    }
    for (String name : new TreeSet<>(ForeignKeys.names())) {
      command.addOption(hidden(name, ForeignKeys.isSwitch(name)));
    }
    for (String name : KohyaKeys.names()) {
      command.addOption(hidden(name, false));
    }
    command.addOption(
        OptionSpec.builder("--concepts_list", "--concepts_path")
            .type(String.class)
            .arity("1")
            .paramLabel("FILE")
            .description("A YAML or JSON file with a list of concepts, instead of concepts_list.")
            .build());
    return command;
  }

  /** A flag that is read for what can be said about it. */
  private static OptionSpec hidden(String name, boolean isSwitch) {
    return OptionSpec.builder("--" + name)
        .hidden(true)
        .type(String.class)
        .arity("0..1")
        .parameterConsumer(consumer(isSwitch))
        .build();
  }

  /** The flags that were given, by key, as the configuration's reader takes them. */
  static Map<String, String> given(CommandSpec command) {
    Map<String, String> flags = new LinkedHashMap<>();
    // Not the parse result's matched options: those leave out what a consumer of ours took.
    for (OptionSpec option : command.options()) {
      String name = option.names()[0].replaceFirst("^--", "");
      if (isKey(name) && option.getValue() instanceof String value) {
        flags.put(name, value);
      }
    }
    return flags;
  }

  private static boolean isKey(String name) {
    return name.equals("concepts_list")
        || ForeignKeys.names().contains(name)
        || KohyaKeys.names().contains(name)
        || Keys.all().stream().anyMatch(key -> key.name().equals(name));
  }

  private static OptionSpec option(Key<?, ?> key, boolean isHidden) {
    List<String> names = new ArrayList<>();
    names.add("--" + key.name());
    key.aliases().forEach(alias -> names.add("--" + alias));
    String standard = key.defaultInWords();
    String note = standard.isEmpty() ? "" : " Default: " + standard + ".";
    boolean flag = key.type().kind() == ValueType.Kind.FLAG;
    OptionSpec.Builder option =
        OptionSpec.builder(names.toArray(String[]::new))
            .type(String.class)
            .hidden(isHidden)
            .arity(flag ? "0..1" : "1")
            .paramLabel(label(key))
            .description((key.help() + note).replace("%", "%%"));
    if (flag) {
      option.parameterConsumer(consumer(true));
    }
    return option.build();
  }

  private static String label(Key<?, ?> key) {
    if (!key.unit().isEmpty()) {
      return key.unit().toUpperCase(Locale.ROOT);
    }
    String allowed = key.type().allowed();
    if (allowed.startsWith("one of ")) {
      return "NAME";
    }
    if (allowed.equals(ValueType.FLAG)) {
      return "true|false";
    }
    return allowed.contains("path")
        ? "PATH"
        : allowed.contains("whole number") ? "N" : allowed.contains("text") ? "TEXT" : "X";
  }

  /** A switch takes the next argument only if it can be its value, and else stands for true. */
  private static IParameterConsumer consumer(boolean isSwitch) {
    return (args, option, command) -> {
      boolean there = !args.isEmpty() && !args.peek().startsWith("--");
      boolean value = there && (!isSwitch || SWITCH_VALUE.matcher(args.peek()).matches());
      option.setValue(value ? args.pop() : "true");
    };
  }
}
